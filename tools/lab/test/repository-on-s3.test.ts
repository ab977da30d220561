import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFitdocError, type Store } from '@fitdoc/interface';
import { isIntact, Repository, type CheckpointEntry } from '@fitdoc/repository';
import { storeFactory, type S3Config } from '@fitdoc/store-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  missingForCeph,
  startCeph,
  startFaultProxy,
  type HttpFault,
  type RunningCeph,
} from '../src/ceph/index.js';
import { protect, stateOf } from './support/protector.mjs';

const required = (process.env['REQUIRE_SUITES'] ?? '').split(',');
const missing = await missingForCeph();
const isSkipped = missing !== undefined && !required.includes('s3') && !required.includes('all');
if (isSkipped) process.stderr.write(`skipped: repositories on a real S3 server: ${missing}\n`);
const because = isSkipped ? ` (skipped: ${missing})` : '';

const FAULTS: HttpFault[] = ['busy', 'reset', 'half-sent', 'unanswered', 'half-answered', 'slow', 'twice'];

/** Numbers below 1 that look random, the same ones for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe.skipIf(isSkipped)(`repositories on S3${because}`, () => {
  let ceph: RunningCeph;
  let folder: string;
  let credentialsFile: string;

  beforeAll(async () => {
    ceph = await startCeph();
    folder = await mkdtemp(join(tmpdir(), 'fitdoc-s3-'));
    credentialsFile = join(folder, 'credentials.json');
    const { accessKeyId, secretAccessKey } = ceph;
    await writeFile(credentialsFile, JSON.stringify({ accessKeyId, secretAccessKey }), { mode: 0o600 });
  });
  afterAll(async () => {
    await ceph?.stop();
    if (folder) await rm(folder, { recursive: true });
  });

  const open = (location: string, config: S3Config = {}): Promise<Store> =>
    storeFactory.open(location, { config: { credentialsFile, partBytes: 5 * 2 ** 20, ...config } });

  /** All that was acknowledged is there, restorable up its chain; nothing that is there is damaged. */
  async function checkAll(location: string, acknowledged: readonly string[]): Promise<CheckpointEntry[]> {
    const store = await open(location);
    const repository = await Repository.open(store);
    const listed = await repository.list();
    expect(listed.filter((entry) => !isIntact(entry))).toEqual([]);
    const entries = listed.filter(isIntact);
    const ids = new Set(entries.map(({ id }) => id));
    expect(
      acknowledged.filter((id) => !ids.has(id)),
      'every acknowledged checkpoint is there',
    ).toEqual([]);
    for (const entry of entries) {
      expect((await repository.chain(entry)).length).toBeGreaterThan(0);
      const reader = await repository.openCheckpoint(entry);
      expect((await reader.verify({ data: true })).findings).toEqual([]);
      const [state] = await reader.readDeviceState();
      const expected = stateOf(`${entry.machineId} ${entry.sequence}`, state!.bytes.length);
      expect(Buffer.compare(state!.bytes, expected)).toBe(0);
    }
    await repository.close();
    await store.close();
    return entries;
  }

  it.each([
    ['patient clients', 8, 0.2, 18],
    ['clients that try once', 1, 0.06, 18],
  ])(
    'lose nothing to failed, slow, doubled and half-done requests: %s',
    async (_, attempts, rate, rounds) => {
      const name = `${ceph.bucket}/${randomUUID()}`;
      const direct = `${ceph.endpoint}/${name}`;
      const first = await open(direct);
      await (await Repository.init(first)).close();
      await first.close();
      const proxy = await startFaultProxy(ceph.endpoint);
      const acknowledged: string[] = [];
      let failed = 0;
      const daemon = async (machine: string, seed: number): Promise<void> => {
        const store = await open(`${proxy.endpoint}/${name}`, { attempts, timeoutMs: 10_000 });
        const repository = await Repository.open(store);
        const random = randomFrom(seed);
        proxy.plan = () => (random() < rate ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined);
        let parent: CheckpointEntry | undefined;
        for (let i = 0; i < rounds; i++) {
          try {
            parent = await protect(repository, machine, 1, { parent });
            acknowledged.push(parent.id);
          } catch (error) {
            if (!isFitdocError(error)) throw error;
            failed++;
          }
        }
        await repository.close();
        await store.close();
      };
      try {
        // Opened by the first before anything goes wrong, so that both begin.
        await Promise.all([daemon('one', 7), daemon('two', 11)].map((each) => each.catch(onlyOurs)));
      } finally {
        await proxy.stop();
      }
      const faults = [...proxy.done].map(([fault, count]) => `${fault} ${count}`).join(', ');
      process.stderr.write(`${acknowledged.length} committed, ${failed} failed, with ${faults}\n`);
      expect(proxy.done.size, 'faults of several kinds were done').toBeGreaterThan(2);
      expect(acknowledged.length).toBeGreaterThan(attempts > 1 ? rounds : 2);
      await checkAll(direct, acknowledged);
    },
  );

  it('are shared by processes that are killed at any moment', async () => {
    const location = `${ceph.endpoint}/${ceph.bucket}/${randomUUID()}`;
    const store = await open(location);
    const repository = await Repository.init(store);
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round++) {
      // Two machines of two processes, and one machine that both protect: its chain may fork, never break.
      const children = ['a', 'b', 'shared', 'shared'].map((machine) => run(location, machine));
      await Promise.all(children.map((child) => child.hasSaid()));
      await new Promise((resolve) => setTimeout(resolve, 50 + round * 130));
      for (const child of children) acknowledged.push(...(await child.kill()));
    }
    const lasting = run(location, 'a', 3);
    acknowledged.push(...(await lasting.end()));
    expect(acknowledged.length).toBeGreaterThan(8);
    const entries = await checkAll(location, acknowledged);
    process.stderr.write(`${acknowledged.length} acknowledged, ${entries.length} there\n`);
    // What the killed left behind does not stand in the way of a prune.
    const report = await repository.prune({ keepLast: 1 });
    expect(report.removed).toBeGreaterThan(0);
    await repository.close();
    await store.close();
    await checkAll(location, []);
  });

  it('are listed whole while several write, pack and remove in one bucket', async () => {
    const location = `${ceph.endpoint}/${ceph.bucket}/${randomUUID()}`;
    const stores = await Promise.all(Array.from({ length: 5 }, () => open(location)));
    await (await Repository.init(stores[0]!)).close();
    const [one, two, packer, reader, late] = await Promise.all(stores.map((store) => Repository.open(store)));
    const acknowledged: string[] = [];
    let isWriting = true;
    const write = (repository: Repository, machine: string) =>
      protect(repository, machine, 40, {
        stateBytes: 3_000,
        onCommit: ({ id }: CheckpointEntry) => void acknowledged.push(id),
      });
    const whileWriting = async (work: () => Promise<void>): Promise<void> => {
      while (isWriting) await work();
    };
    // One machine that two write, whose numbers go on side by side, and one beside it.
    const written = Promise.all([write(one!, 'shared'), write(two!, 'shared'), write(two!, 'own')]).finally(
      () => (isWriting = false),
    );
    let looks = 0;
    const packed = whileWriting(async () => void (await packer!.maintain()));
    const read = whileWriting(async () => {
      const before = [...acknowledged];
      const there = new Set((await reader!.checkpoints()).map(({ id }) => id));
      expect(before.filter((id) => !there.has(id))).toEqual([]);
      looks++;
    });
    await Promise.all([written, packed, read]);
    expect(acknowledged).toHaveLength(120);
    expect(looks).toBeGreaterThan(0);
    expect(await packer!.maintain({ audit: true })).toMatchObject({ missed: 0 });
    const { removed } = await one!.prune({ keepLast: 5 });
    const left = async (audit: boolean) => (await late!.checkpoints({ audit })).map(({ id }) => id).sort();
    expect(await left(false)).toEqual(await left(true));
    expect(await left(true)).toHaveLength(120 - removed);
    for (const repository of [one, two, packer, reader, late]) await repository!.close();
    for (const store of stores) await store.close();
  });

  function run(location: string, machine: string, count = 1_000) {
    const program = join(import.meta.dirname, 'support', 'protector.mjs');
    const child = spawn(process.execPath, [program, location, credentialsFile, machine, String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
    // A line that is cut off was not said.
    const said = (): string[] => output.split('\n').slice(0, -1);
    return {
      /** Resolves when the first checkpoint is committed. */
      async hasSaid() {
        await Promise.race([once(child.stdout, 'data'), closed]);
        if (child.exitCode !== null) throw new Error(`a protector ended by itself with ${child.exitCode}`);
      },
      async kill() {
        child.kill('SIGKILL');
        await closed;
        return said();
      },
      async end() {
        expect(await closed).toBe(0);
        return said();
      },
    };
  }
});

function onlyOurs(error: unknown): void {
  if (!isFitdocError(error)) throw error;
}
