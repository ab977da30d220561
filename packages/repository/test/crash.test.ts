import { crashEverywhere, type CrashFileSystem } from '@fitdoc/compliance/crash-fs';
import { isFitdocError } from '@fitdoc/interface';
import { FsStore } from '@fitdoc/store-fs';
import { expect, it } from 'vitest';
import { WATCH_MS } from '../src/locks/silence.js';
import { isIntact, Lineage, Repository, type CheckpointEntry } from '../src/index.js';
import { content, header, putChain, putSample } from './support/checkpoints.js';
import { FakeClock } from './support/fake-clock.js';

const clock = new FakeClock();
let processes = 0;
let checks = 0;
/** Fewer than the store's own test tries, which looks at single calls closer. */
const survivals = ['nothing', 'everything', 1] as const;

/** The store as a new process on the simulated host sees it: all processes before it have ended. */
function storeOn(files: CrashFileSystem): FsStore {
  const token = `abc.${++processes}.1`;
  return new FsStore('/store', {
    fileSystem: files,
    owner: { token, hasEnded: (other) => other !== token },
    now: clock.now,
  });
}

/** What was promised. */
class Ledger {
  initialised = false;
  readonly committed = new Map<string, CheckpointEntry>();
  readonly mayBeGone = new Set<string>();
  readonly removed = new Set<string>();
  readonly tags = new Map<string, Set<string | undefined>>();

  commit(...entries: CheckpointEntry[]): void {
    for (const entry of entries) this.committed.set(entry.id, entry);
  }

  async removing(entries: readonly CheckpointEntry[], body: () => Promise<unknown>): Promise<void> {
    for (const { id } of entries) this.mayBeGone.add(id);
    await body();
    for (const { id } of entries) this.removed.add(id);
  }

  async tagging(name: string, to: CheckpointEntry | undefined, body: () => Promise<unknown>): Promise<void> {
    this.tags.set(name, new Set([...(this.tags.get(name) ?? [undefined]), to?.contentHash]));
    await body();
    this.tags.set(name, new Set([to?.contentHash]));
  }
}

async function check(files: CrashFileSystem, ledger: Ledger): Promise<void> {
  const store = storeOn(files);
  let repository: Repository;
  try {
    repository = await Repository.open(store, { clock });
  } catch (error) {
    if (ledger.initialised || !isFitdocError(error, 'REPOSITORY_NOT_FOUND')) throw error;
    repository = await Repository.init(store, { clock });
  }
  const listed = await repository.list();
  expect(listed.every(isIntact), 'no object is damaged').toBe(true);
  const entries = listed.filter(isIntact);
  const ids = new Set(entries.map((entry) => entry.id));
  for (const id of ledger.committed.keys()) {
    if (!ledger.mayBeGone.has(id)) expect(ids.has(id), `checkpoint ${id} was committed`).toBe(true);
  }
  for (const id of ledger.removed) expect(ids.has(id), `checkpoint ${id} was removed`).toBe(false);
  const lineage = new Lineage(entries);
  for (const entry of entries) {
    lineage.chain(entry);
    const report = await (await repository.openCheckpoint(entry)).verify({ data: true });
    expect(report.findings).toEqual([]);
  }
  const tags = new Map((await repository.tags.list()).map((tag) => [tag.name, tag.contentHash]));
  for (const [name, may] of ledger.tags) expect([...may], `tag ${name}`).toContain(tags.get(name));
  // Costly, and much the same after each call: of two outcomes a call, one.
  if (++checks % 2 === 0) await checkUsable(repository);
}

/** Whatever was left lying about must not be in the way for longer than a lock lives. */
async function checkUsable(repository: Repository): Promise<void> {
  clock.jump(61_000);
  for (const { id, latest } of await repository.machines()) {
    const next = await putSample(repository, { machine: id, parent: latest! });
    const { removed } = await repository.delete([next]);
    expect(removed.map((entry) => (entry as CheckpointEntry).id)).toEqual([next.id]);
  }
  await repository.prune({ keepLast: 1 });
  await repository.close();
  // Nobody waited for what was left of a machine that nothing was removed from: it is watched, and then goes.
  await repository.locks();
  clock.jump(WATCH_MS);
  expect(await repository.locks()).toEqual([]);
}

it('survives a crash at any call of init, put and tag', async () => {
  const { calls } = await crashEverywhere({
    now: clock.now,
    survivals,
    prepare: (files) => files.makeDirectory('/store'),
    ledger: () => new Ledger(),
    async act(files, ledger) {
      const repository = await Repository.init(storeOn(files), { clock });
      ledger.initialised = true;
      const base = await putSample(repository);
      ledger.commit(base);
      const child = await putSample(repository, { parent: base });
      ledger.commit(child);
      await ledger.tagging('golden', base, () => repository.tags.set('golden', base));
      await ledger.tagging('golden', child, () => repository.tags.set('golden', child));
      await ledger.tagging('golden', undefined, () => repository.tags.remove('golden'));
      ledger.commit(await putSample(repository, { machine: 'm2' }));
      await repository.close();
    },
    check,
  });
  expect(calls).toBeGreaterThan(60);
}, 600_000);

it('survives a crash at any call of delete, prune, replace and locking', async () => {
  let chain: CheckpointEntry[] = [];
  let doomed: CheckpointEntry[] = [];
  const { calls } = await crashEverywhere({
    now: clock.now,
    survivals,
    async prepare(files) {
      await files.makeDirectory('/store');
      const repository = await Repository.init(storeOn(files), { clock });
      chain = await putChain(repository, 6);
      doomed = [
        ...(await putChain(repository, 2, { machine: 'm2' })),
        ...(await putChain(repository, 1, { machine: 'm2', sequence: 2 })),
      ];
      await repository.tags.set('golden', chain[3]!);
      await repository.close();
    },
    ledger() {
      const ledger = new Ledger();
      ledger.initialised = true;
      ledger.commit(...chain, ...doomed);
      ledger.tags.set('golden', new Set([chain[3]!.contentHash]));
      return ledger;
    },
    async act(files, ledger) {
      const repository = await Repository.open(storeOn(files), { clock });
      await ledger.removing([chain[5]!], () => repository.delete([chain[5]!]));
      const run = chain.slice(2, 4);
      await ledger.removing(run, async () => {
        const report = await repository.replace(run, header({ machine: 'm1' }), content());
        ledger.commit(report.entry);
        expect(report.removed.length).toBe(2);
      });
      await ledger.removing(doomed.slice(0, 2), () => repository.prune({ keepLast: 1 }, { machine: 'm2' }));
      const lease = await repository.share('m1', 'restore');
      await lease.release();
      await repository.close();
    },
    check,
  });
  expect(calls).toBeGreaterThan(40);
}, 600_000);
