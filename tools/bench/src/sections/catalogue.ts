import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DiskCache, Repository, type CheckpointEntry } from '../../../../packages/repository/src/index.js';
import {
  packedStore,
  type SyntheticStore,
} from '../../../../packages/repository/test/support/synthetic-store.js';
import type { BenchContext } from '../context.js';
import type { Row, Section } from '../section.js';

const MIB = 2 ** 20;

/** Listings of which the fastest counts: the others were held up by something else. */
const ROUNDS = 5;

/** What was asked for in the catalogue, with requests as a server in the way of S3 counts them. */
export const section: Section = {
  name: 'catalogue',
  title: 'Listing and attaching to many checkpoints (objects made up, all else real, requests as of S3)',
  async run(context) {
    const rows: Row[] = [];
    for (const count of context.quick ? [10_000] : [10_000, 100_000])
      rows.push(...(await measure(context, count)));
    return rows;
  },
};

async function measure(context: BenchContext, count: number): Promise<Row[]> {
  const name = `${count.toLocaleString('en')} checkpoints`;
  context.log(name);
  const store = await packedStore(count);
  const directory = path.join(await context.temporaryDirectory(), `cache-${count}`);
  const cache = () => new DiskCache(directory);
  const list = async () => (await Repository.open(store, { cache })).list();
  const heapBefore = heapInUse();
  const first = await Repository.open(store, { cache });
  const cold = await timed(store, () => first.list());
  const heap = (heapInUse() - heapBefore) / MIB;
  if (cold.result.length !== count) throw new Error(`${cold.result.length} of ${count} were listed`);
  let warm = await timed(store, list);
  for (let round = 1; round < ROUNDS; round++) {
    const again = await timed(store, list);
    if (again.ms < warm.ms) warm = again;
  }
  const attach = await timed(store, async (): Promise<CheckpointEntry> => {
    const repository = await Repository.open(store, { cache });
    return repository.resolve('latest', { machine: 'm' });
  });
  const requests = (variant: string, value: number): Row => ({
    name,
    variant,
    value,
    unit: 'requests',
    target: { of: 'value', atMost: 100 },
  });
  return [
    requests('list, nothing near', cold.total),
    requests('list, segments near', warm.total),
    requests('attach (the latest of a machine)', attach.total),
    { name, variant: 'list, nothing near', value: cold.ms, unit: 'ms' },
    {
      name,
      variant: 'list, segments near',
      value: warm.ms,
      unit: 'ms',
      target: { of: 'value', atMost: 1_000 },
    },
    { name, variant: 'list, segments near', value: warm.processorMs, unit: 'ms of processor' },
    { name, variant: 'attach (the latest of a machine)', value: attach.ms, unit: 'ms' },
    { name, variant: 'heap of a listing', value: heap, unit: 'MiB', target: { of: 'value', atMost: 200 } },
  ];
}

interface Timed<T> {
  readonly result: T;
  /** Requests. */
  readonly total: number;
  readonly ms: number;
  readonly processorMs: number;
}

async function timed<T>(store: SyntheticStore, work: () => Promise<T>): Promise<Timed<T>> {
  const [began, before] = [performance.now(), process.cpuUsage()];
  const { result, total } = await store.counting(work);
  const { user, system } = process.cpuUsage(before);
  return { result, total, ms: performance.now() - began, processorMs: (user + system) / 1_000 };
}

/** Bytes, without what nobody holds. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
