import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openStore } from '@fitdoc/adapters';
import type { Store } from '@fitdoc/interface';
import { Repository, type CheckpointEntry } from '@fitdoc/repository';
import { storeFactory } from '@fitdoc/store-s3';
import { missingForCeph, startCeph } from '../../../lab/src/ceph/index.js';
import type { BenchContext } from '../context.js';
import { POLICY } from '../history/policy.js';
import { StoredHistory } from '../history/stored.js';
import type { Row, Section } from '../section.js';

/** Small, so that an hour of it is captured in minutes; it rewrites what it wrote, as real guests do. */
const MOCK = 'memory=2M&resident=1M&working=512K&workload=kv&rate=24&seed=11&steps=1';
/** Where: `HISTORY_STORED_ON=Ceph` takes one of them. */
const PLACES = ['directory', 'Ceph'];
const SPANS: Readonly<Record<string, number>> = { '5 minutes': 300, '1 hour': 3_600, '1 day': 86_400 };
/** Restore points whose restores are read and proven. */
const PROOFS = 12;

export const section: Section = {
  name: 'history-stored',
  title: 'A history of checkpoints a second under tiers, on a virtual clock, all objects real',
  async run(context) {
    const span = process.env['HISTORY_STORED_SPAN'] ?? (context.quick ? '5 minutes' : '1 hour');
    const seconds = SPANS[span];
    if (seconds === undefined) {
      throw new Error(`HISTORY_STORED_SPAN is "${span}": write one of ${Object.keys(SPANS).join(', ')}`);
    }
    const places = process.env['HISTORY_STORED_ON']?.split(',') ?? PLACES;
    const unknown = places.find((place) => !PLACES.includes(place));
    if (unknown !== undefined) {
      throw new Error(`HISTORY_STORED_ON has "${unknown}": write ${PLACES.join(', ')} or both`);
    }
    const rows = places.includes('directory') ? await onDirectory(context, span, seconds) : [];
    if (!places.includes('Ceph')) return rows;
    const missing = await missingForCeph();
    if (missing === undefined) return [...rows, ...(await onCeph(context, span, seconds))];
    context.log(`SKIPPED Ceph: ${missing}`);
    return [...rows, { name: `${span}, Ceph`, variant: `SKIPPED: ${missing}`, value: NaN, unit: '' }];
  },
};

async function onDirectory(context: BenchContext, span: string, seconds: number): Promise<Row[]> {
  const directory = path.join(await context.temporaryDirectory(), 'repository');
  return measure(context, `${span}, a directory`, await openStore(directory, { create: true }), seconds);
}

async function onCeph(context: BenchContext, span: string, seconds: number): Promise<Row[]> {
  const ceph = await startCeph();
  try {
    const { endpoint, bucket, accessKeyId, secretAccessKey } = ceph;
    const credentialsFile = path.join(await context.temporaryDirectory(), 'credentials.json');
    await writeFile(credentialsFile, JSON.stringify({ accessKeyId, secretAccessKey }), { mode: 0o600 });
    const store = await storeFactory.open(`${endpoint}/${bucket}/history`, { config: { credentialsFile } });
    return await measure(context, `${span}, Ceph`, store, seconds);
  } finally {
    await ceph.stop();
  }
}

async function measure(context: BenchContext, name: string, beneath: Store, seconds: number): Promise<Row[]> {
  const startMs = Date.now() - seconds * 1_000;
  const guest = `bench-stored-${name.replaceAll(/\W+/g, '-')}`;
  const history = await StoredHistory.begin(guest, MOCK, beneath, POLICY, startMs);
  const began = performance.now();
  try {
    await history.live(seconds, (second) => {
      const passed = ((performance.now() - began) / 1_000).toFixed(0);
      context.log(`${name}: ${second} of ${seconds} seconds captured in ${passed} s`);
    });
    return await rowsOf(name, history);
  } finally {
    await history.end();
    await beneath.close();
  }
}

async function rowsOf(name: string, history: StoredHistory): Promise<Row[]> {
  const { repository, machineId, written } = history;
  const plan = await history.settle();
  const objects = await repository.objects({ machine: machineId });
  const kept = plan.keep.map(({ entry }) => entry).sort((one, other) => one.sequence - other.sequence);
  const some = spread(
    kept.filter((entry) => history.isProvable(entry)),
    PROOFS,
  );
  for (const entry of some) await history.prove(entry);
  const random = await Promise.all(some.map((entry) => history.reads(entry)));
  const newest = await history.reads(kept.at(-1)!);
  const stored = objects.reduce((sum, { bytes }) => sum + bytes, 0);
  const row = (variant: string, value: number, unit: string, atMost?: number): Row => ({
    ...{ name, variant, value, unit },
    ...(atMost !== undefined && { target: { of: 'value', atMost } }),
  });
  const listing = await counted(history, async (fresh) => void (await fresh.list()));
  const attach = await counted(
    history,
    async (fresh) => void (await fresh.resolve('latest', { machine: machineId })),
  );
  return [
    row('restore points kept', kept.length, 'states'),
    row('objects', objects.length, 'objects'),
    row('stored against the ideal', stored / idealBytes(objects as CheckpointEntry[], kept), 'times', 2.5),
    row('written by merging for each byte captured', written.merged / written.captured, 'times', 1.5),
    row('the longest way of a kept one', plan.path.worst, 'objects', 64),
    row('a restore of the newest reads', newest.objects, 'objects', 64),
    row('a restore of the newest reads', newest.bytes, 'B'),
    row('a restore of a random one reads', mean(random.map(({ objects: count }) => count)), 'objects', 64),
    row('a restore of a random one reads', mean(random.map(({ bytes }) => bytes)), 'B'),
    row('restores proven', some.length, 'restores'),
    row('list, nothing near', listing.requests, 'calls', 100),
    row('list, nothing near', listing.ms, 'ms'),
    row('attach (the latest), nothing near', attach.requests, 'calls', 100),
    row('attach (the latest), nothing near', attach.ms, 'ms'),
    row('memory of the process, the mock in it', process.memoryUsage().rss / 2 ** 20, 'MiB'),
  ];
}

/** Calls of the store, and time, of work in a repository that is opened for it. */
async function counted(
  history: StoredHistory,
  work: (fresh: Repository) => Promise<void>,
): Promise<{ requests: number; ms: number }> {
  const [before, began] = [history.calls.count, performance.now()];
  const fresh = await Repository.open(history.store);
  await work(fresh);
  const seen = { requests: history.calls.count - before, ms: performance.now() - began };
  await fresh.close();
  return seen;
}

/** A base, and the smallest object from each kept state to the next, where there is one. */
function idealBytes(objects: readonly CheckpointEntry[], kept: readonly CheckpointEntry[]): number {
  const links = new Map<string, number>();
  for (const { parentContentHash, state, contentHash, bytes } of objects) {
    const link = `${parentContentHash} ${state ?? contentHash}`;
    links.set(link, Math.min(bytes, links.get(link) ?? Infinity));
  }
  const base = Math.min(...objects.filter(({ kind }) => kind === 'base').map(({ bytes }) => bytes));
  const gaps = kept
    .slice(1)
    .map((entry, at) => links.get(`${kept[at]!.contentHash} ${entry.contentHash}`) ?? 0);
  return gaps.reduce((sum, bytes) => sum + bytes, base);
}

function spread<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, items.length / count);
  return Array.from({ length: Math.min(count, items.length) }, (_, nth) => items[Math.floor(nth * step)]!);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
