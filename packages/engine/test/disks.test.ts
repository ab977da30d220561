import { hypervisor, mockMachine } from '@fitdoc/hypervisor-mock';
import { isFitdocError, type DiskSource, type Machine } from '@fitdoc/interface';
import { withFaults } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import type { CheckpointEntry } from '@fitdoc/repository';
import { describe, expect, it } from 'vitest';
import {
  CheckpointSource,
  compact,
  compare,
  restore,
  thin,
  verify,
  type Protection,
  type RandomDisk,
} from '@fitdoc/engine';
import { machineName, setUp, type Setup } from './support.js';

const SIZE = 2 ** 19;
const QUERY = `memory=1M&workload=idle&disks=2&disk-size=512K`;

/** Numbers that look random; the same for the same seed. */
function random(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

async function contentOf(disk: DiskSource): Promise<Buffer> {
  const content = Buffer.alloc(disk.sizeBytes);
  for await (const { offset, bytes } of disk.read()) content.set(bytes, offset);
  return content;
}

/** The same by random access, from the end on, in pieces that end anywhere; what is called zero must be. */
async function contentAtRandom(disk: RandomDisk): Promise<Buffer> {
  const { sizeBytes } = disk;
  const content = Buffer.alloc(sizeBytes);
  const piece = 50_001;
  const starts = Array.from({ length: Math.ceil(sizeBytes / piece) }, (_, index) => index * piece).reverse();
  const read = async (start: number): Promise<void> => {
    let last = start;
    for (const { offset, bytes } of await disk.read(start, Math.min(piece, sizeBytes - start))) {
      if (offset < last || offset + bytes.length > start + piece)
        throw new Error(`${offset} is out of order`);
      content.set(bytes, offset);
      last = offset + bytes.length;
    }
  };
  await Promise.all(starts.map(read));
  for (let at = 0; at < sizeBytes;) {
    const runs = await disk.status(at, Math.min(300_000, sizeBytes - at));
    if (runs.length === 0) throw new Error(`nothing is known of ${at}`);
    for (const { length, zero } of runs) {
      if (zero && content.subarray(at, at + length).some((byte) => byte !== 0))
        throw new Error(`${at} + ${length} is not zero`);
      at += length;
    }
  }
  return content;
}

/** The disks of a checkpoint, by name, as they are read from the repository, in order and at random. */
function stored(
  { engine, repository }: Setup,
  entry: CheckpointEntry,
  atRandom = true,
): Promise<Map<string, Buffer>> {
  return CheckpointSource.use(engine, repository, entry, {}, async (source) => {
    const contents = new Map<string, Buffer>();
    for (const disk of source.disks) {
      const content = await contentOf(disk);
      const again = atRandom ? await contentAtRandom(source.openDisk(disk.name)) : content;
      if (Buffer.compare(content, again) !== 0) throw new Error(`${disk.name} is another at random`);
      contents.set(disk.name, content);
    }
    return contents;
  });
}

async function actual(name: string): Promise<Map<string, Buffer>> {
  const { disks } = await mockMachine(name);
  return new Map(disks.map((disk) => [disk.name, Buffer.from(disk.read(0, disk.sizeBytes))]));
}

function same(found: Map<string, Buffer>, wanted: Map<string, Buffer>): boolean {
  const names = [...wanted.keys()];
  return (
    found.size === wanted.size &&
    names.every((name) => Buffer.compare(found.get(name) ?? Buffer.alloc(0), wanted.get(name)!) === 0)
  );
}

describe('disks of a checkpoint', () => {
  it('are stored whole at first, and then only where something else was written', async () => {
    const world = await setUp(`${QUERY}&steps=0`);
    const [disk] = (await mockMachine(world.name)).disks;
    const protection = await world.engine.protect(world.machine, world.repository);
    disk!.write(10_000, Buffer.from('a file'));
    const first = await protection.checkpoint();
    expect(first.entry).toMatchObject({ disks: 2, diskBlocks: 1, formatVersion: 2 });
    disk!.write(10_000, Buffer.from('a file'));
    const rewritten = await protection.checkpoint();
    expect(rewritten.entry).toMatchObject({ disks: 2, diskBlocks: 0 });
    expect(rewritten.cost.disks).toMatchObject([{ readBytes: 4096, changedBlocks: 0 }, { readBytes: 0 }]);
    disk!.write(10_000, Buffer.alloc(6));
    disk!.write(SIZE - 4, Buffer.from('last'));
    const { entry } = await protection.checkpoint();
    expect(entry.diskBlocks).toBe(2);
    expect(same(await stored(world, entry), await actual(world.name))).toBe(true);
    expect(same(await stored(world, first.entry), await actual(world.name))).toBe(false);
    await world.close();
  });

  it('are read at random within their bounds alone, and told apart from what was never written', async () => {
    const world = await setUp(`memory=1M&workload=idle&disks=1&disk-size=1G&steps=0`);
    const [disk] = (await mockMachine(world.name)).disks;
    const protection = await world.engine.protect(world.machine, world.repository);
    disk!.write(2 ** 29, Buffer.from('far out'));
    await protection.checkpoint();
    disk!.write(2 ** 29 + 9000, Buffer.from('an increment'));
    disk!.discard(2 ** 29 / 4096, 1);
    const { entry } = await protection.checkpoint();
    await CheckpointSource.use(world.engine, world.repository, entry, {}, async (source) => {
      const [name] = source.disks.map((each) => each.name);
      const open = source.openDisk(name!);
      expect(await open.status(0, 2 ** 30)).toEqual([
        { length: 2 ** 29, zero: true },
        // The index of the checkpoint before says that it is held; that it is zero now, only its content does.
        { length: 4096, zero: false },
        { length: 4096, zero: true },
        { length: 4096, zero: false },
        { length: 2 ** 29 - 12_288, zero: true },
      ]);
      const [part, ...more] = await open.read(2 ** 29 + 9000, 12);
      expect([Buffer.from(part!.bytes).toString(), part!.offset, more]).toEqual([
        'an increment',
        2 ** 29 + 9000,
        [],
      ]);
      expect(await open.read(2 ** 30, 0)).toEqual([]);
      for (const [offset, length] of [
        [2 ** 30, 1],
        [-1, 1],
        [0.5, 1],
        [0, 2 ** 31],
      ] as const)
        await expect(open.read(offset, length)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
      expect(() => source.openDisk('sda')).toThrow('no disk sda');
    });
    await world.close();
  });

  it('are not there where they are left to the user, and the checkpoint is as it always was', async () => {
    const world = await setUp(QUERY);
    await world.machine.detach();
    const machine = await hypervisor.attach(world.name, { disks: 'external' });
    const { entry } = await (await world.engine.protect(machine, world.repository)).checkpoint();
    expect(entry).toMatchObject({ formatVersion: 1 });
    expect(entry.disks).toBeUndefined();
    await machine.detach();
    await world.close();
  });

  it('come back with the machine', async () => {
    const world = await setUp(QUERY);
    const protection = await world.engine.protect(world.machine, world.repository);
    for (let i = 0; i < 4; i++) await protection.checkpoint();
    const { entry } = await protection.checkpoint();
    const wanted = await actual(world.name);
    const target = machineName();
    await restore(world.engine, { repository: world.repository, entry, hypervisor, location: target });
    expect(same(await actual(target), wanted)).toBe(true);
    await world.close();
  });

  it.each(['goes on from the newest', 'forks an older one', 'comes after a capture for others'])(
    'are right when a protection begins anew that %s, and no more is stored than differs',
    async (how) => {
      const world = await setUp(`${QUERY}&steps=0`);
      const [disk] = (await mockMachine(world.name)).disks;
      for (let block = 0; block < 100; block++) disk!.write(block * 4096, Buffer.from(`block ${block}`));
      const first = await world.engine.protect(world.machine, world.repository);
      const { entry: base } = await first.checkpoint();
      expect(base.diskBlocks).toBe(100);
      disk!.write(8192, Buffer.from('once'));
      await first.checkpoint();
      await first.end();
      await world.machine.detach();
      if (how.startsWith('comes')) {
        const other = await setUp('', new MemoryStore());
        const machine = await hypervisor.attach(`${world.name}?steps=0`);
        disk!.write(40_960, Buffer.from('theirs'));
        await (await other.engine.protect(machine, other.repository)).checkpoint();
        await machine.detach();
        await other.close();
      }
      disk!.write(4096, Buffer.from('changed'));
      disk!.discard(7, 2);
      const machine = await hypervisor.attach(`${world.name}?steps=0`);
      const from = how.startsWith('forks') ? { from: base.id } : {};
      const again = await world.engine.protect(machine, world.repository, from);
      const { entry, cost } = await again.checkpoint();
      const goesOn = how.startsWith('goes');
      expect(cost.disks[0]!.readBytes).toBe((goesOn ? 3 : 98) * 4096);
      expect(entry).toMatchObject({ kind: 'increment', diskBlocks: goesOn ? 3 : 4 });
      expect(same(await stored(world, entry), await actual(world.name))).toBe(true);
      await machine.detach();
      await world.close();
    },
  );

  it('are gone on with from a checkpoint that merged others', async () => {
    const world = await setUp(`${QUERY}&steps=0`);
    const [disk] = (await mockMachine(world.name)).disks;
    const first = await world.engine.protect(world.machine, world.repository);
    for (let block = 0; block < 6; block++) {
      disk!.write(block * 4096, Buffer.from(`block ${block}`));
      await first.checkpoint();
    }
    await first.end();
    await world.machine.detach();
    await thin(world.engine, world.repository, world.machine.info.id, { keepLast: 1 });
    disk!.write(40_960, Buffer.from('later'));
    const machine = await hypervisor.attach(`${world.name}?steps=0`);
    const again = await world.engine.protect(machine, world.repository);
    const { entry, cost } = await again.checkpoint();
    expect(cost.disks[0]).toMatchObject({ readBytes: 4096, changedBlocks: 1 });
    expect(same(await stored(world, entry), await actual(world.name))).toBe(true);
    await machine.detach();
    await world.close();
  });
});

describe('a failed checkpoint of a machine with disks', () => {
  it.each(['the disk', 'the store'])('loses nothing when it is %s that fails', async (what) => {
    const store = new MemoryStore();
    let failing = false;
    const world = await setUp(
      QUERY,
      withFaults(store, ({ operation }) =>
        failing && operation === 'put' ? { error: new Error('the store fails'), when: 'after' } : undefined,
      ),
    );
    const guest = await mockMachine(world.name);
    const protection = await world.engine.protect(world.machine, world.repository);
    await protection.checkpoint();
    for (let round = 0; round < 3; round++) {
      if (what === 'the disk') guest.faults = { failDisk: 1 };
      failing = what === 'the store';
      await expect(protection.checkpoint()).rejects.toThrow();
      guest.faults = {};
      failing = false;
      const { entry } = await protection.checkpoint();
      expect(same(await stored(world, entry), await actual(world.name))).toBe(true);
    }
    expect(guest.paused).toBe(false);
    await world.close();
  });
});

interface Taken {
  readonly entry: CheckpointEntry;
  readonly disks: Map<string, Buffer>;
}

/** A machine whose disks are written to, resized and captured, and what every checkpoint must hold. */
class Walk {
  readonly taken: Taken[] = [];
  #protection!: Protection;
  #machine: Machine;

  constructor(
    readonly world: Setup,
    readonly draw: (bound: number) => number,
  ) {
    this.#machine = world.machine;
  }

  async begin(): Promise<this> {
    this.#protection = await this.world.engine.protect(this.#machine, this.world.repository);
    return this;
  }

  async attachAnew(): Promise<void> {
    await this.#protection.end();
    await this.#machine.detach();
    this.#machine = await hypervisor.attach(this.world.name);
    await this.begin();
  }

  async step(): Promise<void> {
    const { draw, world } = this;
    const guest = await mockMachine(world.name);
    const disk = guest.disks[draw(guest.disks.length)]!;
    const block = draw(Math.floor(disk.sizeBytes / 4096));
    switch (draw(11)) {
      case 0:
        return disk.discard(block, Math.min(1 + draw(5), Math.floor(disk.sizeBytes / 4096) - block));
      case 1:
        return disk.resize(512 * (8 + draw(2 * (SIZE / 512))));
      case 2:
        return disk.write(block * 4096, disk.read(block * 4096, 4096));
      case 3:
      case 4:
        return this.fail();
      case 5:
      case 6:
      case 7:
        return this.capture();
      case 8:
        return this.attachAnew();
      default: {
        const offset = draw(disk.sizeBytes - 1);
        const length = 1 + draw(Math.min(20_000, disk.sizeBytes - offset));
        return disk.write(offset, new Uint8Array(length).fill(draw(256)));
      }
    }
  }

  async capture(): Promise<void> {
    const { entry } = await this.#protection.checkpoint();
    this.taken.push({ entry, disks: await actual(this.world.name) });
  }

  /** Rolls back, having read a part of a disk. */
  async fail(): Promise<void> {
    const guest = await mockMachine(this.world.name);
    guest.faults = { failDisk: 1 };
    const failure: unknown = await this.#protection.checkpoint().catch((error: unknown) => error);
    guest.faults = {};
    if (!isFitdocError(failure, 'CAPTURE_FAILED')) throw new Error(`It ended with ${String(failure)}`);
  }
}

/** Holds what differs by `compare` against a comparison of the contents. */
async function compared({ engine, repository }: Setup, from: Taken, to: Taken): Promise<void> {
  const difference = await compare(engine, repository, [from.entry, to.entry]);
  const wanted = [...to.disks].map(([disk, after]) => {
    const before = from.disks.get(disk)!;
    const size = Math.ceil(Math.max(before.length, after.length) / 4096) * 4096;
    const [one, other] = [before, after].map((each) => {
      const whole = new Uint8Array(size);
      whole.set(each);
      return new BigUint64Array(whole.buffer);
    });
    let words = 0;
    const blocks = new Set<number>();
    for (let word = 0; word < size / 8; word++) {
      if (one![word] === other![word]) continue;
      words++;
      blocks.add(Math.floor(word / 512));
    }
    return { disk, blocks: blocks.size, words, sizes: [before.length, after.length] };
  });
  expect(difference.disks).toEqual(wanted);
}

describe('two hundred random writes, commits and rollbacks', () => {
  it.each([1, 2])('are read back byte by byte, merged or not (seed %i)', async (seed) => {
    const world = await setUp(QUERY);
    const { engine, repository } = world;
    const walk = await new Walk(world, random(seed)).begin();
    for (let step = 0; step < 200; step++) await walk.step();
    for (const [index, { entry, disks }] of walk.taken.entries())
      expect(same(await stored(world, entry, index % 8 === 7), disks)).toBe(true);
    expect(walk.taken.length).toBeGreaterThan(30);
    for (const at of [5, 17, 29]) await compared(world, walk.taken[at - 5]!, walk.taken[at]!);
    const entries = walk.taken.map(({ entry }) => entry);
    const report = await verify(repository, entries, { data: 1 });
    expect(report.findings).toEqual([]);

    const merged = await compact(engine, repository, entries.slice(5, 20));
    const at = walk.taken[19]!;
    expect(same(await stored(world, merged.entry), at.disks)).toBe(true);
    await compared(world, walk.taken[2]!, { entry: merged.entry, disks: at.disks });
    const based = await compact(engine, repository, [...entries.slice(0, 5), merged.entry]);
    expect(based.entry).toMatchObject({ kind: 'base', disks: 2 });
    expect(same(await stored(world, based.entry), at.disks)).toBe(true);
    await thin(engine, repository, world.machine.info.id, { keepLast: 3 });
    for (const { entry, disks } of walk.taken.slice(-3)) {
      const now = await repository.resolve(entry.id);
      expect(same(await stored(world, now), disks)).toBe(true);
    }
    await world.close();
  });
});
