import path from 'node:path';
import {
  DiskCache,
  Lineage,
  Repository,
  type CheckpointEntry,
} from '../../../../packages/repository/src/index.js';
import {
  packedStoreOf,
  type SyntheticStore,
} from '../../../../packages/repository/test/support/synthetic-store.js';
import type { BenchContext } from '../context.js';
import type { Row } from '../section.js';
import type { DrawnHistory } from './drawn.js';

const DAY = 86_400_000;
const MOST_OBJECTS = 64;
/** Random kept restore points whose ways are counted. */
const SAMPLES = 2_000;

export interface Moment {
  readonly name: string;
  readonly spanMs: number;
  /** The most objects that any plan since the last look saw a restore take. */
  readonly worst: number;
  readonly before: DrawnHistory['plans'];
  /** Whether all of it was captured a second each. */
  readonly isFine: boolean;
}

/** What a history has come to: rows for people, and the figures by name. */
export interface Look {
  readonly spanMs: number;
  readonly rows: readonly Row[];
  readonly figures: ReadonlyMap<string, number>;
}

export async function look(context: BenchContext, history: DrawnHistory, moment: Moment): Promise<Look> {
  const { name, spanMs, worst, before, isFine } = moment;
  const plan = history.thin();
  const kept = plan.keep.map(({ entry }) => entry);
  const lineage = new Lineage(history.entries);
  const cost = (entry: CheckpointEntry) => lineage.cost(entry)!;
  const random = Array.from({ length: SAMPLES }, (_, nth) => cost(kept[(nth * 7_919) % kept.length]!));
  const base = history.idealBytes([]);
  const stored = sum(history.entries.map(({ bytes }) => bytes)) / history.idealBytes(kept);
  const rows: Row[] = [];
  const figures = new Map<string, number>();
  const row = (variant: string, value: number, unit: string, atMost?: number): void => {
    const target = atMost === undefined ? {} : { target: { of: 'value' as const, atMost } };
    rows.push({ name, variant, value, unit, ...target });
    figures.set(`${variant}, ${unit}`, value);
  };
  const { captured, merged } = history.written;
  row('restore points kept', kept.length, 'states');
  row('objects', history.entries.length, 'objects');
  row('stored against the ideal', stored, 'times', spanMs <= DAY ? 2.5 : 1.5);
  if (isFine) row('written by merging for each byte captured', merged / captured, 'times', 1.5);
  row('a restore reads at most', worst, 'objects', MOST_OBJECTS);
  row('a restore of the newest reads', cost(kept[0]!).objects, 'objects', MOST_OBJECTS);
  row('a restore of the newest reads', cost(kept[0]!).bytes / base, 'bases');
  row('a restore of a random one reads', mean(random.map(({ objects }) => objects)), 'objects', MOST_OBJECTS);
  row('a restore of a random one reads', mean(random.map(({ bytes }) => bytes)) / base, 'bases');
  await catalogue(context, history.entries, row);
  const plans = history.plans.all - before.all;
  row('one plan takes', (history.plans.ms - before.ms) / plans, 'ms');
  row('memory of the process', process.memoryUsage().rss / 2 ** 20, 'MiB');
  return { spanMs, rows, figures };
}

/** Histories that end so many objects apart are listed, and how many: what a segment of each size takes, once. */
const APART = 256;
const ENDS = 16;

/**
 * The real catalogue over the objects that are left, requests as of S3. How many segments a listing reads goes up and
 * down as small ones become larger ones: what counts is the mean over histories that end a little earlier each.
 */
async function catalogue(
  context: BenchContext,
  entries: readonly CheckpointEntry[],
  row: (variant: string, value: number, unit: string) => void,
): Promise<void> {
  const requests: number[] = [];
  for (let end = 1; end < ENDS && entries.length > end * APART; end++) {
    const earlier = await packedStoreOf(entries.slice(0, -end * APART));
    const { total } = await earlier.counting(async () => (await Repository.open(earlier)).list());
    requests.push(total);
  }
  const store = await packedStoreOf(entries);
  const directory = path.join(await context.temporaryDirectory(), 'cache');
  const open = () => Repository.open(store, { cache: () => new DiskCache(directory) });
  const list = async () => (await open()).list();
  const [first] = [await timed(store, list)];
  requests.push(first.total);
  row('list, nothing near', mean(requests), 'requests');
  row('list, nothing near, the most', Math.max(...requests), 'requests');
  row('list, nothing near', first.ms, 'ms');
  const attach = await timed(store, async () => (await open()).resolve('latest', { machine: 'm' }));
  row('attach (the latest), segments near', attach.total, 'requests');
  row('attach (the latest), segments near', attach.ms, 'ms');
}

async function timed<T>(
  store: SyntheticStore,
  work: () => Promise<T>,
): Promise<{ total: number; ms: number }> {
  const began = performance.now();
  const { total } = await store.counting(work);
  return { total, ms: performance.now() - began };
}

const FLAT = [
  ['stored against the ideal, times', 1.1],
  ['objects, objects', 1.1],
  ['list, nothing near, requests', 1.1],
  ['attach (the latest), segments near, requests', 1.1],
  ['a restore of the newest reads, objects', 1.1],
  ['a restore of the newest reads, bases', 1.1],
  ['a restore of a random one reads, bases', 1.5],
] as const;

/** What a year comes to against 30 days. */
export function flatness(name: string, looks: readonly Look[]): Row[] {
  const [year, month] = [looks.at(-1)!, looks.at(-2)];
  if (!month || year.spanMs < 365 * DAY) return [];
  return FLAT.map(([variant, atMost]) => {
    const [value, before] = [year.figures.get(variant)!, month.figures.get(variant)!];
    const ratio = { ratio: value / before, ratioTo: '30 days' };
    const target = { of: 'ratio' as const, atMost };
    return { name: `${name}, a year against 30 days`, variant, value, unit: '', ...ratio, target };
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
