import { verify } from '@fitdoc/engine';
import type { ContentItem, NewCheckpointHeader } from '@fitdoc/format';
import type { ListOptions, Store } from '@fitdoc/interface';
import { Repository, type CheckpointEntry } from '@fitdoc/repository';
import { MemoryStore } from '@fitdoc/store-memory';
import { beforeAll, describe, expect, it } from 'vitest';

const COUNT = 10_000;
/** Objects that a server lists in one answer. */
const PAGE = 1_000;
/** Answers of one listing of everything. */
const WHOLE = COUNT / PAGE;

/** A store in memory that counts requests as a server in the way of S3 does. */
function counted(store: Store) {
  const requests = { list: 0, get: 0, stat: 0, put: 0, delete: 0 };
  const counting = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name === 'list') return (prefix: string, options?: ListOptions) => listed(target, prefix, options);
      return (...args: unknown[]): unknown => {
        if (name === 'deleteMany') requests.delete += Math.ceil((args[0] as string[]).length / PAGE);
        else if (Object.hasOwn(requests, name)) requests[name as keyof typeof requests]++;
        return Reflect.apply(value, target, args);
      };
    },
  });
  async function* listed(target: Store, prefix: string, options?: ListOptions) {
    requests.list++;
    let count = 0;
    for await (const stat of target.list(prefix, options)) {
      if (count > 0 && count % PAGE === 0) requests.list++;
      count++;
      yield stat;
    }
  }
  const of = async (work: () => Promise<unknown>) => {
    const before = { ...requests };
    await work();
    const kinds = Object.keys(requests) as (keyof typeof requests)[];
    return Object.fromEntries(kinds.map((kind) => [kind, requests[kind] - before[kind]])) as typeof requests;
  };
  return { store: counting, of };
}

function headerOf(sequence: number, parent?: CheckpointEntry): NewCheckpointHeader {
  const regions = [{ name: 'ram', firstGfn: 0, pages: 16, kind: 'ram' as const }];
  const machine = { id: 'm', name: 'm', hypervisor: 'mock', scheme: 'mock', architecture: 'x86_64' as const };
  const at = 1_750_000_000_000 + sequence * 1_000;
  return {
    machine: { ...machine, regions, platform: {}, disks: [] },
    sequence,
    ...(parent
      ? { kind: 'increment', parent: { id: parent.id, contentHash: parent.contentHash } }
      : { kind: 'base' }),
    ...{ createdAtMs: at, capturedAtMs: at, tool: 'test' },
  };
}

async function* content(nth: number): AsyncGenerator<ContentItem> {
  yield { type: 'metrics', metrics: { nth } };
  await Promise.resolve();
}

describe(`what a repository of ${COUNT} checkpoints is asked for`, () => {
  let nowMs = 1_750_000_000_000;
  const { store, of } = counted(new MemoryStore({ now: () => nowMs }));
  let repository: Repository;

  beforeAll(async () => {
    const writer = await Repository.init(store);
    // Ten chains, so that there is something to remove.
    let parent: CheckpointEntry | undefined;
    for (let nth = 0; nth < COUNT; nth++) {
      const above = nth % (COUNT / 10) === 0 ? undefined : parent;
      nowMs += 1_000;
      parent = await writer.put(headerOf(nth, above), content(nth));
    }
    await writer.close();
    repository = await Repository.open(store);
  }, 600_000);

  it('at a start: one listing at most, and no object by itself but for the newest', async () => {
    const requests = await of(() => repository.resolve('latest', { machine: 'm' }));
    expect(requests.list).toBeLessThanOrEqual(WHOLE + 8);
    expect(requests.get + requests.stat).toBeLessThanOrEqual(160);
  });

  it('to set a tag: nothing that grows', async () => {
    const [entry] = await repository.checkpoints();
    const requests = await of(() => repository.tags.set('kept', entry!));
    expect(Object.values(requests).reduce((sum, count) => sum + count)).toBeLessThanOrEqual(16);
  });

  it('to verify: one listing, and each object once or twice', { timeout: 300_000 }, async () => {
    const requests = await of(async () => {
      const report = await verify(repository, await repository.list());
      expect(report.checkpoints).toBe(COUNT);
      expect(report.findings).toEqual([]);
    });
    expect(requests.list).toBeLessThanOrEqual(WHOLE + 16);
    expect(requests.get).toBeLessThanOrEqual(2 * COUNT);
    expect(requests.stat).toBeLessThanOrEqual(16);
  });

  it('to delete one: a look at everything, and one deletion', async () => {
    const last = await repository.resolve('latest');
    const requests = await of(() => repository.delete([last]));
    expect(requests.list).toBeLessThanOrEqual(WHOLE + 25);
    expect(requests.get + requests.stat).toBeLessThanOrEqual(160);
    expect(requests.delete).toBeLessThanOrEqual(40);
  });

  it('to prune: a look at everything, and each that goes once', { timeout: 300_000 }, async () => {
    const before = await repository.checkpoints();
    const requests = await of(() => repository.prune({ keepLast: 1 }));
    const gone = before.length - (await repository.checkpoints()).length;
    expect(gone).toBeGreaterThan(0.7 * COUNT);
    expect(requests.list).toBeLessThanOrEqual(WHOLE + 40);
    expect(requests.get + requests.stat).toBeLessThanOrEqual(200);
    expect(requests.delete).toBeLessThanOrEqual(gone + 40);
  });
});
