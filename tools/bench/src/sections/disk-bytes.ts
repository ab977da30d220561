import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createZstdCompressor } from '@fitdoc/codec';
import { CheckpointSource, createEngine, exportDisk, type Engine } from '@fitdoc/engine';
import { Repository, type CheckpointEntry } from '@fitdoc/repository';
import { missingForQemu, type RunningGuest } from '../../../lab/src/qemu/index.js';
import { run } from '../../../lab/src/shell.js';
import type { BenchContext } from '../context.js';
import { GrainCount, GRAINS } from '../disk-bytes/grains.js';
import { DISK, startDiskGuest, WORKS, type DiskWork } from '../disk-bytes/guest.js';
import { syncFile } from '../end-to-end/durable.js';
import { quantile } from '../end-to-end/statistics.js';
import type { Row, Section } from '../section.js';

const BETWEEN_MS = 2_000;

export const section: Section = {
  name: 'disk-bytes',
  title:
    'What increments store of the disk of a real guest, emulated, beside what changed of it in larger and smaller pieces',
  requires: missingForQemu,
  async run(context) {
    const rows: Row[] = [];
    for (const work of WORKS) {
      context.log(work.name);
      rows.push(...(await measure(context, work)));
    }
    return rows;
  },
};

interface Taken {
  readonly entries: readonly CheckpointEntry[];
  /** Milliseconds from the resume until each increment was durable, disks included. */
  readonly durableMs: readonly number[];
  readonly copyMs: number;
}

async function measure(context: BenchContext, work: DiskWork): Promise<Row[]> {
  const folder = await context.temporaryDirectory();
  const store = await openStore(path.join(folder, 'r'), { create: true });
  const repository = await Repository.init(store);
  const engine = createEngine();
  try {
    const guest = await startDiskGuest(folder, work);
    let taken: Taken;
    try {
      taken = await increments(context, { guest, engine, repository, folder });
    } finally {
      await guest.stop();
    }
    const grains = await compareImages(folder, { engine, repository }, taken.entries);
    return rowsOf(work.name, taken, grains);
  } finally {
    await engine.close();
    await repository.close();
    await store.close();
  }
}

interface Subject {
  readonly guest: RunningGuest;
  readonly engine: Engine;
  readonly repository: Repository;
  readonly folder: string;
}

/** A base and increments of a machine at work, and at the end one full copy of its image as `qemu-img` makes it. */
async function increments(
  context: BenchContext,
  { guest, engine, repository, folder }: Subject,
): Promise<Taken> {
  const { hypervisor, rest } = await hypervisorFor(`kvm:${guest.qmpPath}`);
  const machine = await hypervisor.attach(rest, { disks: 'capture' });
  try {
    const protection = await engine.protect(machine, repository);
    const entries: CheckpointEntry[] = [];
    const durableMs: number[] = [];
    for (let number = 0; number <= (context.quick ? 4 : 12); number++) {
      const { entry, cost } = await protection.checkpoint();
      entries.push(entry);
      if (number > 0) durableMs.push(cost.commitMs);
      await sleep(BETWEEN_MS);
    }
    await protection.end();
    const copy = path.join(folder, 'copy.raw');
    const began = performance.now();
    await run('qemu-img', ['convert', '-U', '-f', 'raw', '-O', 'raw', path.join(folder, 'disk.raw'), copy]);
    await syncFile(copy);
    const copyMs = performance.now() - began;
    await rm(copy);
    return { entries, durableMs, copyMs };
  } finally {
    await machine.detach();
  }
}

async function compareImages(
  folder: string,
  { engine, repository }: Pick<Subject, 'engine' | 'repository'>,
  entries: readonly CheckpointEntry[],
): Promise<GrainCount> {
  const count = new GrainCount(await createZstdCompressor());
  const [before, after] = [path.join(folder, 'before.raw'), path.join(folder, 'after.raw')];
  for (const [number, entry] of entries.entries()) {
    await CheckpointSource.use(engine, repository, entry, {}, async ({ disks }) => {
      await exportDisk(
        disks.find(({ name }) => name === DISK)!,
        after,
      );
    });
    if (number > 0) await count.add(before, after);
    await rename(after, before);
  }
  return count;
}

function rowsOf(name: string, { entries, durableMs, copyMs }: Taken, { of }: GrainCount): Row[] {
  const stored = entries.slice(1).reduce((sum, entry) => sum + (entry.diskBytes ?? 0), 0);
  const qemus = of.get(GRAINS[0])!.raw;
  const bytes = (variant: string, value: number): Row => ({
    ...{ name, variant, value, unit: 'bytes', ratio: value / qemus, ratioTo: 'changed 64 KiB, raw' },
  });
  const durable = quantile(durableMs, 0.5);
  return [
    ...GRAINS.flatMap((grain) => {
      const what = `changed ${grain < 1024 ? `${grain} bytes` : `${grain / 1024} KiB`}`;
      return [bytes(`${what}, raw`, of.get(grain)!.raw), bytes(`${what}, zstd-3`, of.get(grain)!.zstd3)];
    }),
    { ...bytes('fitdoc', stored), target: { of: 'ratio', atMost: 0.35 } },
    { name, variant: 'qemu-img convert of the whole disk, synced', value: copyMs, unit: 'ms' },
    {
      ...{
        name,
        variant: 'fitdoc, until an increment is durable, memory included',
        value: durable,
        unit: 'ms',
      },
      ...{ ratio: durable / copyMs, ratioTo: 'qemu-img convert' },
    },
  ];
}
