import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskOracle } from '@fitdoc/compliance/hypervisor';
import type { Harvest } from '@fitdoc/interface';
import { afterEach, describe, expect, test } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { run } from '../../../tools/lab/src/shell.js';
import { missingForSmallDisks, SmallDisk } from '../../../tools/lab/src/small-disk.js';
import { Disks } from '../src/disks/disks.js';
import { directory, removeDirectories } from './support/disk-proof.js';
import { boot, stopGuests, withoutQemu, type TestGuest } from './support/real.js';

afterEach(async () => {
  await stopGuests();
  await removeDirectories();
});

const mount = gate('mount', await missingForSmallDisks());
const SIZE = 4 << 20;
const ROUNDS = 200;
const SEED = 11;

const DISKS = { virtio: 'raw', nvme: 'qcow2' } as const;
type Name = keyof typeof DISKS;
const NAMES: readonly Name[] = ['virtio', 'nvme'];

/** Machines without a guest, whose disks the test writes to through their front ends. */
describe.skipIf(withoutQemu)('disks of a QEMU without a guest', () => {
  test(`are right through ${ROUNDS} random commits, rollbacks and writes`, async () => {
    const bench = await Workbench.open();
    const oracle = new DiskOracle();
    const draw = numbers(SEED);
    let durable = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await bench.writeSome(draw);
      await bench.prepare(draw(20) === 0);
      if (draw(2) === 0) {
        await bench.disks.record();
        await bench.writeSome(draw);
      }
      if (draw(12) === 0) {
        await bench.disks.forgo();
        continue;
      }
      await bench.disks.freeze();
      const then = await bench.contents();
      await bench.writeSome(draw);
      const outcome = draw(10);
      if (outcome < 6) {
        await oracle.apply(bench.harvest());
        for (const name of NAMES) {
          const same = Buffer.compare(oracle.disks.get(name)!.read(0, SIZE), then.get(name)!) === 0;
          expect(same, `${name} in round ${round} of seed ${SEED}`).toBe(true);
        }
        await bench.writeSome(draw);
        await bench.disks.settle(true);
        durable++;
      } else if (outcome === 9) await bench.disks.abandon();
      else {
        if (outcome < 8) for await (const _ of bench.harvest().disks![draw(2)]!.read()) if (draw(2)) break;
        await bench.disks.settle(false);
      }
    }
    expect(durable).toBeGreaterThan(ROUNDS / 3);
    await bench.disks.end();
    expect(await bench.left()).toEqual([]);
  }, 900_000);

  const title = 'whose fleece is full are given up, and the guest’s writes are not';
  test.skipIf(mount.skip)(
    mount.title(title),
    async () => {
      const small = await SmallDisk.mount(join(await directory(), 'small'), 1);
      try {
        const bench = await Workbench.open(small.path);
        for (const name of NAMES) await bench.io(name, `write -P 1 0 ${SIZE}`);
        await bench.freeze();
        await bench.io('virtio', `write -P 2 0 ${SIZE}`);
        const reading = new DiskOracle().apply(bench.harvest());
        await expect(reading).rejects.toMatchObject({ code: 'CAPTURE_FAILED', retryable: true });
        await bench.disks.settle(false);
        await bench.freeze();
        const oracle = new DiskOracle();
        await oracle.apply(bench.harvest());
        const then = await bench.contents();
        for (const name of NAMES)
          expect(Buffer.compare(oracle.disks.get(name)!.read(0, SIZE), then.get(name)!)).toBe(0);
        await bench.disks.settle(true);
        await bench.disks.end();
        expect(await bench.left()).toEqual([]);
        expect(bench.errors).toEqual([]);
      } finally {
        await small.unmount();
      }
    },
    120_000,
  );
});

class Workbench {
  /** Events of I/O errors that the guest would have met. */
  readonly errors: string[] = [];

  private constructor(
    private readonly guest: TestGuest,
    private readonly images: ReadonlyMap<Name, string>,
    readonly disks: Disks,
    private readonly scratch: string,
  ) {
    guest.monitor.onEvent(({ name }) => /ERROR/.test(name) && this.errors.push(name));
  }

  static async open(fleeces?: string): Promise<Workbench> {
    const folder = await directory();
    const images = new Map(NAMES.map((name) => [name, join(folder, name)] as const));
    const args: string[] = ['-S'];
    for (const [name, image] of images) {
      await run('qemu-img', ['create', '-q', '-f', DISKS[name], image, `${SIZE}`]);
      args.push('-drive', `file=${image},format=${DISKS[name]},if=none,id=${name},discard=unmap`);
    }
    args.push('-device', 'virtio-blk-pci,drive=virtio', '-device', 'nvme,serial=n,drive=nvme');
    const options = { accel: 'tcg', guest: 'bare', shim: false, memoryKib: 16_384, extraArgs: args } as const;
    const guest = await boot(options, 0);
    // As of a QEMU that tears snapshots, which is right of every other as well.
    const settings = {
      directory: fleeces ?? folder,
      socketDirectory: folder,
      timeoutMs: 30_000,
      tears: true,
      life: 'this',
      keepBitmaps: false,
    };
    const disks = new Disks(guest.monitor, { ...settings, leftOut: new Set() });
    return new Workbench(guest, images, disks, folder);
  }

  async freeze(): Promise<void> {
    await this.prepare();
    await this.disks.freeze();
  }

  async prepare(full = false): Promise<void> {
    await this.disks.prepare({ full }, new AbortController().signal);
  }

  harvest(): Harvest {
    return { disks: this.disks.harvest() } as unknown as Harvest;
  }

  /** As the guest's driver would: past whatever stands before the disk's content. */
  async io(disk: Name, command: string): Promise<void> {
    const line = { 'command-line': `qemu-io ${disk} "${command}"` };
    const said = await this.guest.monitor.execute<string>('human-monitor-command', line);
    if (/fail|error/i.test(said)) throw new Error(said);
  }

  async writeSome(draw: (below: number) => number): Promise<void> {
    for (let n = draw(4); n > 0; n--) {
      const [at, length] = [draw(SIZE / 512 - 256) * 512, (1 + draw(256)) * 512];
      const kinds = [`write -P ${1 + draw(255)}`, `write -P ${1 + draw(255)}`, 'write -z', 'discard'];
      await this.io(NAMES[draw(2)]!, `${kinds[draw(4)]} ${at} ${length}`);
    }
  }

  /** What the images hold, read by others. */
  async contents(): Promise<Map<Name, Buffer>> {
    const found = new Map<Name, Buffer>();
    for (const [name, image] of this.images) {
      if (DISKS[name] !== 'raw') await this.io(name, 'flush');
      const raw = DISKS[name] === 'raw' ? image : join(this.scratch, 'read');
      if (raw !== image) await run('qemu-img', ['convert', '-U', '-O', 'raw', image, raw]);
      found.set(name, await readFile(raw));
    }
    return found;
  }

  /** What of ours is in QEMU's block layer. */
  async left(): Promise<string[]> {
    const nodes = await this.guest.monitor.execute<object[]>('query-named-block-nodes', { flat: true });
    const exports = await this.guest.monitor.execute<object[]>('query-block-exports');
    return JSON.stringify([nodes, exports]).match(/"fitdoc-[^"]*"/g) ?? [];
  }
}

/** Numbers below a bound, the same in each run (xorshift32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
