import assert from 'node:assert/strict';
import type { MachineInfo, RestoreSource } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import type { Attached, Guests, RestoreTarget } from './place.js';

/** Restores of what was captured. */
export function restoreTests(guests: Guests): void {
  restoreTest(guests, 'restores what it captured', async (attached, target) => {
    const { machine, sink, place, rounds } = attached;
    for (let i = 1; i < rounds; i++) await attached.round();
    await place.mutate?.();
    const harvest = await sink.capture(machine);
    await harvest.commit();
    const source = sink.source(machine, harvest);
    const report = await place.hypervisor.restore(target.location, source, target.options);
    assert.ok(source.counted.calls > 0, 'the pages were never asked for');
    assert.ok(report.pages > 0);
    assert.ok(['running', 'paused', 'written'].includes(report.state));
    await target.verify(sink.memory);
  });

  restoreTest(
    guests,
    'refuses a machine that does not fit before it reads a page',
    async (attached, target) => {
      const { machine, sink, place } = attached;
      const harvest = await sink.capture(machine);
      await harvest.commit();
      for (const info of target.misfits?.(machine.info) ?? misfits(machine.info)) {
        const source = sink.source(machine, harvest);
        const misfit: RestoreSource = { ...source, info };
        await expectCode(
          place.hypervisor.restore(target.location, misfit, target.options),
          'MACHINE_INCOMPATIBLE',
        );
        assert.equal(source.counted.calls, 0, 'pages were asked for');
      }
      await place.hypervisor.restore(target.location, sink.source(machine, harvest), target.options);
      await target.verify(sink.memory);
    },
  );

  restoreTest(guests, 'restores nothing once the signal is aborted', async (attached, target) => {
    const { machine, sink, place } = attached;
    const harvest = await sink.capture(machine);
    await harvest.commit();
    const source = sink.source(machine, harvest);
    const options = { ...target.options, signal: AbortSignal.abort() };
    await expectCode(place.hypervisor.restore(target.location, source, options), 'ABORTED');
    assert.equal(source.counted.calls, 0, 'pages were asked for');
  });
}

function restoreTest(
  guests: Guests,
  name: string,
  body: (attached: Attached, target: RestoreTarget) => Promise<void>,
): void {
  guests.attachedTest(name, async (attached) => {
    // Whether the capability is honest, another test tells.
    const target = await attached.place.restoreTarget?.();
    if (!target) return;
    try {
      await body(attached, target);
    } finally {
      await target.dispose?.();
    }
  });
}

/** The machine with other memory: more of it, and regions by other names. */
function misfits(info: MachineInfo): MachineInfo[] {
  const last = info.regions.at(-1);
  assert.ok(last);
  const others = info.regions.slice(0, -1);
  return [
    { ...info, regions: [...others, { ...last, pages: last.pages + 1 }] },
    { ...info, regions: [...others, { ...last, name: `${last.name}-other` }] },
  ];
}
