import { createEngine } from '@fitdoc/engine';
import { MockHypervisor } from '@fitdoc/hypervisor-mock';
import { Repository } from '@fitdoc/repository';
import { MemoryStore } from '@fitdoc/store-memory';
import { afterAll, expect, it } from 'vitest';
import { Ledger } from '../src/ledger.js';
import { Random } from '../src/random.js';
import { mockSubject } from '../src/subjects.js';

const engine = createEngine({ workers: 1 });
afterAll(() => engine.close());
const subject = mockSubject('m', 5);

/** A repository with four checkpoints of a mock machine, all of them in the ledger. */
async function place() {
  const store = new MemoryStore();
  const repository = await Repository.init(store);
  const machine = await new MockHypervisor().attach(subject.location, { machineId: 'm' });
  const protection = await engine.protect(machine, repository);
  const ledger = new Ledger();
  const entries = [];
  for (let count = 0; count < 4; count++) {
    const { entry } = await protection.checkpoint();
    entries.push(entry);
    ledger.add([{ machine: 'm', id: entry.id, sequence: entry.sequence, kind: entry.kind }]);
  }
  await protection.end();
  await machine.detach();
  await repository.close();
  const check = async (proving = subject) =>
    ledger.check(await Repository.open(store), engine, [proving], new Random(1));
  return { store, ledger, entries, check };
}

it('restores the newest and another, and finds nothing where all is well', async () => {
  const { check, entries } = await place();
  const { findings, restored, lost } = await check();
  expect(findings).toEqual([]);
  expect(lost).toEqual([]);
  expect(restored[0]?.id).toBe(entries[3]?.id);
  expect(restored).toHaveLength(2);
});

it('misses a committed checkpoint that is not there', async () => {
  const { check, store, entries } = await place();
  await store.delete(entries[3]!.key);
  expect((await check()).lost).toEqual([entries[3]!.id]);
});

it('misses one whose chain is broken, and one whose object is cut or changed', async () => {
  for (const damage of [
    () => undefined,
    (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1),
    (bytes: Uint8Array) => bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1),
  ]) {
    const { check, store, entries } = await place();
    const { key } = entries[1]!;
    const changed = damage(await store.get(key));
    await store.delete(key);
    if (changed) await store.put(key, Uint8Array.from(changed));
    const { findings, lost } = await check();
    expect(findings).not.toEqual([]);
    expect(lost).toContain(entries[3]!.id);
  }
});

it('counts as lost what restores to something else', async () => {
  const { check, entries } = await place();
  const strict = { ...subject, prove: () => Promise.reject(new Error('another memory')) };
  const { findings, lost, restored } = await check(strict);
  expect(restored).toEqual([]);
  expect(lost).toContain(entries[3]!.id);
  expect(findings[0]).toContain('another memory');
});

it('misses of a thinned history what had to stay, seen or reported, and no more', async () => {
  const { entries, store } = await place();
  const ledger = new Ledger(2);
  ledger.add(entries.slice(0, 3).map(({ id, sequence, kind }) => ({ machine: 'm', id, sequence, kind })));
  const lost = async () => {
    const repository = await Repository.open(store);
    return (await ledger.check(repository, engine, [subject], new Random(1))).lost;
  };
  // The last one, which nobody reported, is seen here.
  expect(await lost()).toEqual([]);
  await store.delete(entries[3]!.key);
  expect(await lost()).toEqual([entries[3]!.id]);
  await store.delete(entries[2]!.key);
  expect((await lost()).slice(0, 2)).toEqual([entries[3]!.id, entries[2]!.id]);
});
