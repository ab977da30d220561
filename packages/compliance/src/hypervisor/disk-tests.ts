import assert from 'node:assert/strict';
import { BLOCK_SIZE, type Harvest } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import { DiskOracle } from './disk-oracle.js';
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

async function compare({ place }: Attached, oracle: DiskOracle): Promise<void> {
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
