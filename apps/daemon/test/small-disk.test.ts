import { setTimeout as sleep } from 'node:timers/promises';
import { hypervisorFor, openStore } from '@fitdoc/adapters';
import { createEngine, restore, verify } from '@fitdoc/engine';
import { isIntact, Repository, type CheckpointEntry } from '@fitdoc/repository';
import { expect } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForSmallDisks, SmallDisk } from '../../../tools/lab/src/small-disk.js';
import type { Place, Running } from './support/daemon.js';
import { test } from './support/test.js';

const seconds = Number(process.env['FITDOC_SMALL_DISK_SECONDS'] ?? 40);
const disks = gate('mount', await missingForSmallDisks());
const KEPT = 20;
const MEBIBYTE = 2 ** 20;

async function configure(place: Place): Promise<void> {
  await place.configure(`
[machines.a]
location = "mock:a?memory=16M&workload=kv&seed=4"
repository = "local"
every = "100ms"
retention = { keep-last = ${KEPT} }
prune-every = "5s"
`);
}

interface Seen {
  /** Bytes of the disk in use, once a second. */
  readonly used: number[];
  readonly checkpoints: number;
}

async function watch(daemon: Running, disk: SmallDisk): Promise<Seen> {
  const used: number[] = [];
  for (let second = 0; second < seconds; second++) {
    await sleep(1000);
    used.push(await disk.used());
    const { checkpoints, failures, lastProblem } = await daemon.machine('a');
    expect({ failures, lastProblem }).toEqual({ failures: 0, lastProblem: undefined });
    if (second % 20 === 19) tell(second + 1, checkpoints, used);
  }
  return { used, checkpoints: (await daemon.machine('a')).checkpoints };
}

function tell(second: number, checkpoints: number, used: readonly number[]): void {
  const mebibytes = (Math.max(...used.slice(-20)) / MEBIBYTE).toFixed(1);
  process.stdout.write(
    `${second} s: ${checkpoints} checkpoints, ${mebibytes} MiB at most in the last 20 s\n`,
  );
}

/** Reads all of the repository, and restores the newest checkpoint and one of those before it; gives its objects. */
async function prove(location: string): Promise<CheckpointEntry[]> {
  const engine = createEngine({ workers: 1 });
  const store = await openStore(location);
  const repository = await Repository.open(store);
  try {
    const objects = await repository.objects();
    expect(objects.filter((entry) => !isIntact(entry))).toEqual([]);
    const intact = objects.filter(isIntact);
    expect((await verify(repository, intact, { data: 1 })).findings).toEqual([]);
    const points = await repository.checkpoints();
    const { hypervisor } = await hypervisorFor('mock:proof');
    const older = points[Math.floor(Math.random() * (points.length - 1))];
    for (const entry of [points.at(-1)!, older!]) {
      // A checkpoint of the mock carries the sum of the guest that it was taken of.
      const location = `proof-${entry.id}`;
      const report = await restore(engine, { repository, entry, hypervisor, location });
      expect(report).toMatchObject({ state: 'running', notes: [expect.stringContaining('checksum')] });
      expect((await repository.readCost(entry))?.objects).toBeLessThanOrEqual(64);
    }
    return intact;
  } finally {
    await repository.close();
    await store.close();
    await engine.close();
  }
}

const title = `protects a machine on a disk of 64 MiB for ${seconds} s without filling it`;
test.skipIf(disks.skip)(disks.title(title), { timeout: seconds * 2000 + 180_000 }, async ({ place }) => {
  const disk = await SmallDisk.mount(place.file('disk'), 64);
  try {
    place.repository = place.file('disk/repository');
    await configure(place);
    const daemon = await place.start().ready();
    const { used, checkpoints } = await watch(daemon, disk);
    const { history } = await daemon.machine('a');
    const jobs = await daemon.job('/v1/machines/a/prune', {});
    const kept = (await daemon.timeline('a')).length;
    expect(await daemon.kill('SIGTERM')).toBe(0);
    // A machine that does much else falls behind; nothing else may have gone wrong.
    const warnings = daemon.log.filter(({ level, missed }) => Number(level) >= 40 && missed === undefined);
    expect(warnings).toEqual([]);
    process.stdout.write(`${checkpoints} checkpoints, ${kept} kept; ${JSON.stringify({ history, jobs })}\n`);
    const objects = await prove(place.repository);
    const half = used.length >> 1;
    const base = Math.max(...objects.map(({ bytes }) => bytes));
    process.stdout.write(
      `${objects.length} objects, the largest of ${base} bytes; in use ${used.join(' ')}\n`,
    );
    // A slow machine is still on its way to this level in the first half; what comes beyond it would have come to stay.
    const level = Math.max(...used.slice(0, half), 6 * base);
    // A base may be in the making beside what it is made of.
    expect(Math.max(...used.slice(half))).toBeLessThanOrEqual(level + 2 * base);
    expect(kept).toBeLessThan(checkpoints / 2);
    expect(history?.freedBytes).toBeGreaterThan(0);
  } finally {
    await disk.unmount();
  }
});
