import assert from 'node:assert/strict';
import { once } from 'node:events';
import { isFitdocError } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import { attachedTo, type Guests } from './place.js';

/** How long `gone` may lag behind a capture that found no machine. */
const GONE_MS = 5000;

/** Detaching, attaching again, and the end of a machine. */
export function lifecycleTests(guests: Guests): void {
  guests.attachedTest('detaches any number of times, and leaves the guest running', async (attached) => {
    const { machine, place, sink } = attached;
    await attached.round();
    await Promise.all([machine.detach(), machine.detach()]);
    await machine.detach();
    assert.ok(await place.isRunning(), 'the guest stands still after a detach');
    await assert.rejects(machine.capture(sink), (error) => isFitdocError(error));
  });

  guests.attachedTest('detaches with a harvest that nobody settled', async (attached) => {
    const { machine, place, sink } = attached;
    await sink.capture(machine);
    await machine.detach();
    assert.ok(await place.isRunning(), 'the guest stands still after a detach');
  });

  guests.attachedTest('detaches in the middle of a capture', async ({ machine, place, sink }) => {
    const capture = sink.capture(machine).then(
      () => 'done',
      (error: unknown) => error,
    );
    await machine.detach();
    const outcome = await capture;
    const fine = outcome === 'done' || isFitdocError(outcome, 'ABORTED');
    assert.ok(fine, `the capture ended with ${String(outcome)}`);
    assert.ok(await place.isRunning(), 'the guest stands still after a detach');
  });

  guests.test('attaches again after a detach', async (place) => {
    for (let i = 0; i < 3; i++) {
      const machine = await place.hypervisor.attach(place.location, place.attach);
      try {
        const attached = attachedTo(place, machine, 1);
        await attached.round();
        await attached.round();
      } finally {
        await machine.detach();
      }
    }
  });

  guests.attachedTest('tells when the machine is gone', async ({ machine, sink, place }) => {
    if (!place.kill) return;
    await (await sink.capture(machine)).commit();
    await place.kill();
    await expectCode(sink.capture(machine), 'MACHINE_GONE');
    if (!machine.gone.aborted) {
      const signal = AbortSignal.timeout(GONE_MS);
      await once(machine.gone, 'abort', { signal }).catch(() => undefined);
    }
    assert.ok(machine.gone.aborted, `\`gone\` was not aborted within ${GONE_MS} ms`);
    assert.ok(isFitdocError(machine.gone.reason, 'MACHINE_GONE'), 'the reason is no MACHINE_GONE');
    await machine.detach();
  });
}
