import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { mockMachine } from '@fitdoc/hypervisor-mock';
import { CheckpointSource, exportDisk } from '@fitdoc/engine';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { setUp, type Setup } from './support.js';

/** The last block is shorter than others. */
const SECTORS = 16_001;
const SIZE = SECTORS * 512;

let setup: Setup | undefined;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-disk-files-'));
});
afterEach(async () => {
  await setup?.close();
  setup = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** So little memory that no increment fits: the disk is then put together in memory. */
const LITTLE = { memory: 64 };

it.each([1, 4])(
  'a disk is written as it is read, with holes where it is zero, of a chain of %i',
  async (chain) => {
    const made = (setup = await setUp(`memory=1M&workload=idle&disks=1&disk-size=${SIZE}&steps=0`));
    const [disk] = (await mockMachine(made.name)).disks;
    const protection = await made.engine.protect(made.machine, made.repository);
    disk!.write(0, Buffer.alloc(300_000, 'base'));
    disk!.write(SIZE - 700, Buffer.alloc(700, 'end'));
    for (let taken = 1; taken < chain; taken++) {
      await protection.checkpoint();
      disk!.write(taken * 70_000, Buffer.alloc(9000, `increment ${taken}`));
      disk!.discard(taken * 5, 3);
      disk!.write(SIZE - 100 * taken, Buffer.alloc(50, `${taken}`));
    }
    const { entry } = await protection.checkpoint();
    const wanted = Buffer.from(disk!.read(0, SIZE));
    const write = async (options: object) => {
      const file = path.join(folder, `${Object.keys(options).length}`);
      const phases = new Set<string>();
      const report = await CheckpointSource.use(made.engine, made.repository, entry, options, (source) =>
        exportDisk(source.disks[0]!, file, { onProgress: ({ phase }) => phases.add(phase) }),
      );
      const { blocks, size } = await stat(file);
      expect(size).toBe(SIZE);
      expect(blocks * 512).toBeLessThanOrEqual(report.written + 65_536);
      expect((await readFile(file)).equals(wanted)).toBe(true);
      return { written: report.written, phases: [...phases] };
    };
    const direct = await write({});
    expect(direct.phases).toEqual(['writing disk disk0']);
    expect(await write(LITTLE)).toEqual({ written: direct.written, phases: ['reading disk disk0'] });
  },
);
