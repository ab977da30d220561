import fc from 'fast-check';
import { MemoryStore } from '@fitdoc/store-memory';
import { expect, it } from 'vitest';
import { Lineage, Repository, type CheckpointEntry } from '../src/index.js';
import { leafFirst, planRemoval } from '../src/retention/removal-plan.js';
import { planPrune } from '../src/retention/prune.js';
import { putChain, putSample } from './support/checkpoints.js';

const ids = (entries: readonly { id: string }[]) => entries.map((entry) => entry.id);

async function newRepository(): Promise<Repository> {
  return Repository.init(new MemoryStore());
}

it('deletes leaves, and keeps what others build on', async () => {
  const repository = await newRepository();
  const chain = await putChain(repository, 5);
  const fork = await putSample(repository, { parent: chain[1]! });
  const dry = await repository.delete([chain[4]!, chain[2]!], { dryRun: true });
  expect(ids(dry.removed as CheckpointEntry[])).toEqual([chain[4]!.id]);
  expect((await repository.list()).length).toBe(6);
  const report = await repository.delete([chain[4]!, chain[2]!]);
  expect(ids(report.removed as CheckpointEntry[])).toEqual([chain[4]!.id]);
  expect(report.freedBytes).toBe(chain[4]!.bytes);
  expect(report.kept).toEqual([{ entry: chain[2], reasons: [`needed by ${chain[3]!.id.slice(0, 12)}`] }]);
  const all = await repository.delete([chain[1]!], { descendants: true });
  expect(new Set(ids(all.removed as CheckpointEntry[]))).toEqual(new Set(ids([...chain.slice(1, 4), fork])));
  expect(ids(await repository.checkpoints())).toEqual([chain[0]!.id]);
});

it('keeps what has a tag, and says so', async () => {
  const repository = await newRepository();
  const chain = await putChain(repository, 3);
  await repository.tags.set('golden', chain[2]!);
  const report = await repository.delete(chain);
  expect(report.removed).toEqual([]);
  expect(report.kept.find(({ entry }) => entry.id === chain[2]!.id)?.reasons).toEqual(['tag golden']);
  const pruned = await repository.prune({ keepLast: 1, keepTags: [] });
  expect(pruned.removed).toBe(0);
  await expect(repository.prune({ keepLast: 1, keepTags: ['silver'] })).rejects.toMatchObject({
    code: 'CHECKPOINT_NOT_FOUND',
  });
  await repository.tags.remove('golden');
  expect((await repository.delete(chain)).removed.length).toBe(3);
});

it('prunes each machine for itself, and says why it keeps what it keeps', async () => {
  const repository = await newRepository();
  const first = await putChain(repository, 4);
  const second = [await putSample(repository, { sequence: 4 })];
  second.push(...(await putChain(repository, 2, { parent: second[0]! })));
  const other = await putSample(repository, { machine: 'm2' });
  const dry = await repository.prune({ keepLast: 2 }, { dryRun: true });
  expect(dry.removed).toBe(4);
  expect((await repository.list()).length).toBe(8);
  const report = await repository.prune({ keepLast: 2 });
  expect(report.freedBytes).toBe(first.reduce((sum, entry) => sum + entry.bytes, 0));
  const [m1, m2] = [
    report.machines.find((m) => m.machineId === 'm1')!,
    report.machines.find((m) => m.machineId === 'm2')!,
  ];
  expect(ids(m1.remove)).toEqual(ids([...first].reverse()));
  expect(m1.keep.map(({ entry, reasons }) => [entry.id, reasons])).toEqual([
    [second[2]!.id, ['last']],
    [second[1]!.id, ['last']],
    [second[0]!.id, [`needed by ${second[1]!.id.slice(0, 12)}`]],
  ]);
  expect(m1.mergeable.map((run) => [ids(run.entries), run.into.id])).toEqual([
    [[second[0]!.id], second[1]!.id],
  ]);
  expect(ids(m2.keep.map(({ entry }) => entry))).toEqual([other.id]);
  expect((await repository.list()).length).toBe(4);
});

it('refuses policies that keep nothing or make no sense', async () => {
  const repository = await newRepository();
  await putChain(repository, 2);
  for (const bad of [
    {},
    { keepLast: 0 },
    { keepLast: -1 },
    { keepDaily: 1.5 },
    { keepLast: NaN },
    { keepTags: ['x'] },
  ]) {
    await expect(repository.prune(bad)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  }
  const nowhere = repository.prune({ keepDaily: 1, timeZone: 'Mars/Olympus' });
  await expect(nowhere).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  expect((await repository.list()).length).toBe(2);
});

it('stops at an abort with whole chains', async () => {
  const repository = await newRepository();
  const chain = await putChain(repository, 6);
  const controller = new AbortController();
  const deleting = repository.delete(chain, {
    signal: controller.signal,
    onProgress: ({ done }) => {
      if (done === 3) controller.abort();
    },
  });
  await expect(deleting).rejects.toMatchObject({ code: 'ABORTED' });
  expect(ids(await repository.checkpoints())).toEqual(ids(chain.slice(0, 3)));
});

const hashOf = (n: number) => n.toString(16).padStart(64, '0');

/** A forest of checkpoints; some supersede an earlier one of the same place in the chain. */
const forest = fc
  .array(fc.tuple(fc.nat(), fc.boolean(), fc.nat({ max: 5 })), { minLength: 1, maxLength: 25 })
  .map((choices) => {
    const entries: CheckpointEntry[] = [];
    for (const [index, [pick, isBase, merge]] of choices.entries()) {
      const parent = isBase || index === 0 ? undefined : entries[pick % index]!;
      const superseded = merge === 0 && parent ? [parent.contentHash, ...(parent.supersedes ?? [])] : [];
      const up = superseded.length > 0 ? parent!.parentContentHash : parent?.contentHash;
      entries.push({
        key: `k${String(index).padStart(3, '0')}`,
        id: hashOf(index + 1).slice(0, 32),
        contentHash: hashOf(index + 1),
        machineId: 'm1',
        sequence: superseded.length > 0 ? parent!.sequence : (parent?.sequence ?? -1) + 1,
        capturedAtMs: superseded.length > 0 ? parent!.capturedAtMs : 1_000 * index,
        createdAtMs: 1_000 * index,
        ...(up === undefined ? {} : { parentContentHash: up }),
        ...(superseded.length > 0 ? { supersedes: superseded } : {}),
      } as unknown as CheckpointEntry);
    }
    return entries;
  });

/** Which have a whole chain. */
function whole(entries: readonly CheckpointEntry[]): Set<string> {
  const lineage = new Lineage(entries);
  const found = new Set<string>();
  for (const entry of entries) {
    try {
      lineage.chain(entry);
      found.add(entry.key);
    } catch {
      // Not whole.
    }
  }
  return found;
}

it('never breaks a chain that stays, at no step of the removal', () => {
  fc.assert(
    fc.property(forest, fc.infiniteStream(fc.boolean()), (entries, coin) => {
      const unwanted = new Set(entries.filter(() => coin.next().value));
      const { remove, kept } = planRemoval(entries, unwanted, () => []);
      for (const { entry } of kept) expect(unwanted.has(entry)).toBe(true);
      expect(remove.length + kept.length).toBe(unwanted.size);
      const before = whole(entries);
      let left = [...entries];
      for (const entry of remove) {
        left = left.filter((other) => other !== entry);
        const now = whole(left);
        for (const other of left) expect(now.has(other.key)).toBe(before.has(other.key));
      }
    }),
    { numRuns: 300 },
  );
});

it('removes everything that it could', () => {
  fc.assert(
    fc.property(forest, fc.infiniteStream(fc.boolean()), (entries, coin) => {
      const unwanted = new Set(entries.filter(() => coin.next().value));
      const { remove, kept } = planRemoval(entries, unwanted, () => []);
      const left = entries.filter((entry) => !remove.includes(entry));
      const before = whole(left);
      for (const { entry } of kept) {
        const without = whole(left.filter((other) => other !== entry));
        const lost = [...before].filter((key) => key !== entry.key && !without.has(key));
        // Kept for a reason, unless several hold the same state: then which of them stays is open.
        const provides = (one: CheckpointEntry) => [one.contentHash, ...(one.supersedes ?? [])];
        const replaceable = left.some(
          (other) => other !== entry && provides(other).some((hash) => provides(entry).includes(hash)),
        );
        if (!replaceable) expect(lost.length, `${entry.key} is needed`).toBeGreaterThan(0);
      }
    }),
    { numRuns: 300 },
  );
});

it('orders children before parents', () => {
  fc.assert(
    fc.property(forest, (entries) => {
      const order = new Map(leafFirst(entries).map((entry, index) => [entry, index]));
      const lineage = new Lineage(entries);
      for (const entry of entries) {
        const parent = lineage.parentOf(entry);
        if (parent) expect(order.get(entry)!).toBeLessThan(order.get(parent)!);
      }
    }),
  );
});

it('plans for thousands of checkpoints in no time', () => {
  const chain = Array.from({ length: 20_000 }, (_, i) => ({
    key: `k${i}`,
    id: hashOf(i + 1).slice(32),
    contentHash: hashOf(i + 1),
    machineId: 'm1',
    sequence: i,
    capturedAtMs: i * 1_000,
    createdAtMs: i * 1_000,
    ...(i % 1000 === 0 ? {} : { parentContentHash: hashOf(i) }),
  })) as unknown as CheckpointEntry[];
  const begin = process.cpuUsage();
  const plan = planPrune('m1', chain, { keepLast: 10, keepHourly: 3, timeZone: 'UTC' }, []);
  expect(plan.remove.length + plan.keep.length).toBe(20_000);
  expect(plan.remove.length).toBeGreaterThan(15_000);
  const { user, system } = process.cpuUsage(begin);
  expect((user + system) / 1000).toBeLessThan(5_000);
});
