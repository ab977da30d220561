import assert from 'node:assert/strict';
import { isFitdocError, type Progress } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import type { Attached, Guests } from './place.js';

/** Captures that fail or are cancelled: the guest runs on, and no dirty page is lost. */
export function failureTests(guests: Guests): void {
  guests.attachedTest('captures nothing once the signal is aborted', async (attached) => {
    await attached.round();
    await attached.place.mutate?.();
    const signal = AbortSignal.abort();
    await expectCode(attached.sink.capture(attached.machine, { signal }), 'ABORTED');
    await goesOn(attached);
  });

  guests.attachedTest('is cancelled in the middle without losing a page', async (attached) => {
    await attached.round();
    await attached.place.mutate?.();
    await cancel(attached);
    await goesOn(attached);
  });

  guests.attachedTest('is cancelled in the first capture without losing a page', async (attached) => {
    await cancel(attached);
    await goesOn(attached);
  });

  guests.attachedTest('survives a sink that fails', async (attached) => {
    const { machine, sink, place } = attached;
    await attached.round();
    await place.mutate?.();
    sink.beforePlace = () => {
      throw new Error('the sink of the suite fails');
    };
    try {
      // An increment may be empty where the guest did not write; a full capture never is.
      const error = await rejection(sink.capture(machine, { full: true }));
      assert.ok(isFitdocError(error), `rejected with ${String(error)}, which is no FitdocError`);
    } finally {
      sink.beforePlace = undefined;
    }
    await goesOn(attached);
  });

  guests.attachedTest('reports progress that only grows', async ({ machine, sink }) => {
    const seen = new Map<string, number>();
    const onProgress = ({ phase, done }: Progress) => {
      assert.ok(done >= (seen.get(phase) ?? 0), `"${phase}" went back to ${done}`);
      seen.set(phase, done);
    };
    await (await sink.capture(machine, { onProgress })).commit();
  });
}

/** Cancels a capture while it places pages. A capture that is too far to be stopped may succeed. */
async function cancel({ machine, sink }: Attached): Promise<void> {
  const controller = new AbortController();
  sink.beforePlace = () => controller.abort();
  try {
    const harvest = await sink.capture(machine, { signal: controller.signal });
    await harvest.rollback();
  } catch (error) {
    assert.ok(isFitdocError(error, 'ABORTED'), `cancelled with ${String(error)}`);
  } finally {
    sink.beforePlace = undefined;
  }
}

async function goesOn(attached: Attached): Promise<void> {
  assert.ok(await attached.place.isRunning(), 'the guest stands still after a failed capture');
  assert.equal(attached.machine.gone.aborted, false);
  await attached.round();
  await attached.round();
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it resolved, though the sink had failed');
}
