import assert from 'node:assert/strict';
import { BLOCK_SIZE, type Harvest, type Machine } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import { DiskOracle } from './disk-oracle.js';
import { OracleSink } from './oracle-sink.js';
import type { Attached, Guests } from './place.js';

/** The disks that harvests bring. */
export function diskTests(guests: Guests): void {
  diskTest(guests, 'brings disks as they were at the capture', async (attached, oracle) => {
    const kinds: string[] = [];
    for (let i = 0; i < attached.rounds; i++) {
      const harvest = await captured(attached);
      kinds.push(...(harvest.disks ?? []).map(({ kind }) => kind));
      await oracle.apply(harvest);
      await harvest.commit();
      await compare(attached, oracle);
    }
    const disks = attached.machine.info.disks.filter(({ writable, leftOut }) => writable && leftOut !== true);
    assert.equal(kinds.length, disks.length * attached.rounds, 'a disk is missing');
    assert.ok(kinds.slice(0, disks.length).every((kind) => kind === 'full'));
    assert.ok(kinds.slice(disks.length).every((kind) => kind === 'increment'));
  });

  diskTest(
    guests,
    'brings what was written since the last commit after rollbacks',
    async (attached, oracle) => {
      const first = await captured(attached);
      await oracle.apply(first);
      await first.commit();
      for (const read of [false, true]) {
        const harvest = await captured(attached);
        // Into another: what is rolled back has to come again.
        if (read) await new DiskOracle().apply(harvest);
        await harvest.rollback();
      }
      const last = await captured(attached);
      await oracle.apply(last);
      await last.commit();
      await compare(attached, oracle);
    },
  );

  diskTest(guests, 'brings disks in full when told to', async (attached, oracle) => {
    await (await captured(attached)).rollback();
    const first = await captured(attached);
    assert.ok(
      first.disks?.every(({ kind }) => kind === 'full'),
      'what was rolled back counts as known',
    );
    await first.commit();
    const harvest = await attached.sink.capture(attached.machine, { full: true });
    assert.ok(harvest.disks?.every(({ kind }) => kind === 'full'));
    await oracle.apply(harvest);
    await harvest.commit();
    await compare(attached, oracle);
  });

  givesUp(guests);
  goesOn(guests);
}

function goesOn(guests: Guests): void {
  diskTest(
    guests,
    'goes on with disks from the moment that a later attachment holds, and from no other',
    async (attached, oracle) => {
      const { machine, place } = attached;
      const first = await later(attached, machine, oracle, undefined);
      assert.deepEqual(first.increments, [], 'an increment to nothing');
      const { attach: options, location } = place;
      const held = [
        first.moments,
        first.moments,
        new Map([...first.moments.keys()].map((name) => [name, 'x'])),
      ];
      for (const [index, moments] of held.entries()) {
        const again = await place.hypervisor.attach(location, options);
        const { increments } = await later(attached, again, oracle, moments);
        if (index > 0) assert.deepEqual(increments, [], 'an increment to what it does not go on from');
      }
    },
  );
}

interface Later {
  readonly moments: ReadonlyMap<string, string>;
  /** Names of disks that came as increments. */
  readonly increments: readonly string[];
}

/** One committed capture of an attachment, which it ends. */
async function later(
  { place }: Attached,
  machine: Machine,
  oracle: DiskOracle,
  held: ReadonlyMap<string, string> | undefined,
): Promise<Later> {
  try {
    await place.mutate?.();
    const harvest = await new OracleSink(machine.info.regions).capture(machine, {
      ...(held && { diskMoments: held }),
    });
    await oracle.apply(harvest);
    await harvest.commit();
    await compare({ place }, oracle);
    const disks = harvest.disks ?? [];
    const moments = new Map(
      disks.flatMap(({ name, moment }): [string, string][] => (moment === undefined ? [] : [[name, moment]])),
    );
    for (const moment of moments.values()) assert.match(moment, /^[\w.-]{1,64}$/);
    assert.equal(new Set(moments.values()).size, moments.size, 'two disks have one moment');
    for (const moment of held?.values() ?? [])
      assert.ok(![...moments.values()].includes(moment), 'two moments have one name');
    return { moments, increments: disks.filter(({ kind }) => kind === 'increment').map(({ name }) => name) };
  } finally {
    await machine.detach();
  }
}

function givesUp(guests: Guests): void {
  diskTest(guests, 'gives up reading a disk when told to, and loses nothing', async (attached, oracle) => {
    const harvest = await captured(attached);
    for (const disk of harvest.disks ?? []) {
      const reading = (async () => {
        for await (const _ of disk.read({ signal: AbortSignal.abort() })) assert.fail('it was read');
      })();
      await expectCode(reading, 'ABORTED');
    }
    await harvest.rollback();
    const next = await captured(attached);
    await oracle.apply(next);
    await next.commit();
    await compare(attached, oracle);
    assert.ok(await attached.place.isRunning());
  });
}

function diskTest(
  guests: Guests,
  name: string,
  body: (attached: Attached, oracle: DiskOracle) => Promise<void>,
): void {
  guests.attachedTest(name, async (attached) => {
    const { machine, place } = attached;
    if (machine.supports.disks !== true) {
      const harvest = await attached.sink.capture(machine);
      await harvest.commit();
      assert.deepEqual(harvest.disks ?? [], [], '`supports.disks` is not honest');
      return;
    }
    assert.ok(place.readDisk !== undefined, 'the place of a machine with disks must read them');
    await body(attached, new DiskOracle());
  });
}

async function captured({ place, sink, machine }: Attached): Promise<Harvest> {
  await place.mutate?.();
  return sink.capture(machine);
}

async function compare({ place }: Pick<Attached, 'place'>, oracle: DiskOracle): Promise<void> {
  for (const [name, disk] of oracle.disks) {
    for (let offset = 0; offset < disk.sizeBytes; offset += AT_ONCE) {
      const length = Math.min(AT_ONCE, disk.sizeBytes - offset);
      const found = await place.readDisk?.(name, offset, length);
      if (!found) return;
      const same = Buffer.compare(found, disk.read(offset, length)) === 0;
      assert.ok(same, `the disk ${name} was captured otherwise than it is, near byte ${offset}`);
    }
  }
}

const AT_ONCE = 256 * BLOCK_SIZE;
