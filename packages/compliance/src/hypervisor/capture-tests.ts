import assert from 'node:assert/strict';
import type { Harvest } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import { OracleSink } from './oracle-sink.js';
import type { Attached, Guests } from './place.js';

/** What a capture delivers, and the two phases of a harvest. */
export function captureTests(guests: Guests): void {
  guests.attachedTest('captures all of the machine at first', async (attached) => {
    const { machine, sink, place } = attached;
    const before = Date.now();
    const started = performance.now();
    const harvest = await sink.capture(machine);
    const elapsed = performance.now() - started;
    assert.equal(harvest.kind, 'full');
    checkFacts(harvest, elapsed);
    assert.ok(harvest.capturedAtMs >= before - 1000 && harvest.capturedAtMs <= Date.now() + 1000);
    await attached.compare();
    assert.ok(await place.isRunning(), 'the guest stands still after a capture');
    await harvest.commit();
  });

  guests.attachedTest('covers every write by increments', async (attached) => {
    const kinds: string[] = [];
    for (let i = 0; i < attached.rounds; i++) kinds.push(await attached.round());
    const later = attached.machine.supports.increments ? 'increment' : 'full';
    assert.deepEqual(kinds.slice(1), kinds.slice(1).fill(later), '`supports.increments` is not honest');
  });

  deliveryTests(guests);
  twoPhaseTests(guests);
}

function deliveryTests(guests: Guests): void {
  guests.attachedTest('captures all again when told to', async (attached) => {
    await attached.round();
    attached.sink.memory.fill(0xa5);
    const harvest = await attached.sink.capture(attached.machine, { full: true });
    assert.equal(harvest.kind, 'full');
    await harvest.commit();
    await attached.compare();
    await attached.round();
  });

  guests.attachedTest(
    'gets along with a sink that lends a page at a time and reserves nothing',
    async (attached) => {
      const { machine } = attached;
      const narrow = new OracleSink(machine.info.regions, { lend: 1, reserves: false });
      const full = await narrow.capture(machine);
      await full.commit();
      attached.sink.memory.set(narrow.memory);
      await attached.compare();
      await attached.place.mutate?.();
      const next = await narrow.capture(machine);
      await next.commit();
      attached.sink.memory.set(narrow.memory);
      await attached.compare();
    },
  );

  guests.attachedTest(
    'gives all of the device state every time',
    async ({ machine, sink, rounds, place }) => {
      const names: string[] = [];
      for (let i = 0; i < Math.min(rounds, 3); i++) {
        await place.mutate?.();
        const harvest = await sink.capture(machine);
        await harvest.commit();
        assert.ok(harvest.deviceState.length > 0, 'there is no device state');
        const parts = harvest.deviceState.map(({ name }) => name);
        assert.equal(new Set(parts).size, parts.length, 'two parts of the device state have one name');
        names.push(parts.join());
      }
      assert.equal(new Set(names).size, 1, 'the parts of the device state change');
    },
  );
}

function twoPhaseTests(guests: Guests): void {
  guests.attachedTest('delivers after a rollback what the sink does not have', async (attached) => {
    await attached.round();
    for (let i = 0; i < 2; i++) {
      await attached.place.mutate?.();
      await (await attached.sink.capture(attached.machine)).rollback();
    }
    await attached.round();
  });

  guests.attachedTest('rolls back the first capture, too', async (attached) => {
    await (await attached.sink.capture(attached.machine)).rollback();
    await attached.round();
    await attached.round();
  });

  guests.attachedTest('is busy while a capture is under way', async (attached) => {
    const { machine, sink } = attached;
    const first = sink.capture(machine);
    await expectCode(machine.capture(new OracleSink(machine.info.regions)), 'MACHINE_BUSY');
    await (await first).commit();
    await attached.compare();
    await attached.round();
  });

  guests.attachedTest('is busy until a harvest is committed or rolled back', async (attached) => {
    const { machine, sink } = attached;
    await busyUntil(attached, async (harvest) => harvest.commit());
    await busyUntil(attached, async (harvest) => harvest.rollback());
    await (await sink.capture(machine)).commit();
    await attached.compare();
  });
}

async function busyUntil(
  { machine, sink }: Attached,
  settle: (harvest: Harvest) => Promise<void>,
): Promise<void> {
  const harvest = await sink.capture(machine);
  await expectCode(machine.capture(new OracleSink(machine.info.regions)), 'MACHINE_BUSY');
  await settle(harvest);
}

function checkFacts(harvest: Harvest, elapsed: number): void {
  const { pauseMs, pausePhases, notes } = harvest;
  assert.ok(Number.isFinite(pauseMs) && pauseMs >= 0, `a pause of ${pauseMs} ms`);
  assert.ok(pauseMs <= elapsed + 1, `a pause of ${pauseMs} ms in a capture of ${elapsed} ms`);
  for (const [phase, ms] of Object.entries(pausePhases)) {
    assert.ok(Number.isFinite(ms) && ms >= 0, `the step ${phase} took ${ms} ms`);
  }
  assert.ok(Array.isArray(notes));
}
