import { FitdocError } from '@fitdoc/interface';
import { withFaults } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CLAIM_TTL_MS, Repository, type Writer } from '../src/index.js';
import { FakeClock } from './support/fake-clock.js';

const A: Writer = { location: 'kvm:/run/a/vm.qmp', program: 'fitdoc watch' };
const B: Writer = { location: 'kvm:/run/b/vm.qmp', program: 'fitdocd' };

async function place(): Promise<{ clock: FakeClock; store: MemoryStore; open: () => Promise<Repository> }> {
  const clock = new FakeClock();
  const store = new MemoryStore({ now: clock.now });
  await Repository.init(store, { clock });
  return { clock, store, open: () => Repository.open(store, { clock }) };
}

const CONFLICT = { code: 'MACHINE_CONFLICT', retryable: true };

async function claims(store: MemoryStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('locks/claims/')) keys.push(key);
  return keys;
}

/** The claim of a process that is not this one: its owner is changed in the store. */
async function moveTo(store: MemoryStore, owner: Record<string, unknown>, protector?: string): Promise<void> {
  const [key] = await claims(store);
  const record = JSON.parse(new TextDecoder().decode(await store.get(key!))) as Record<string, object>;
  const changed = { ...record, owner: { ...record['owner'], ...owner }, ...(protector && { protector }) };
  await store.put(key!, new TextEncoder().encode(JSON.stringify(changed)), { mode: 'replace' });
}

const ELSEWHERE = { host: 'other-host', scope: 'another-boot:pid:[1]' };

it('lets one write a chain, and names both to the other, with what to do', async () => {
  const { store, open } = await place();
  const [one, other] = [await open(), await open()];
  const claim = await one.claim('vm', A);
  const refused = await other.claim('vm', B).catch((error: unknown) => error as FitdocError);
  expect(refused).toMatchObject({
    ...CONFLICT,
    details: { location: B.location, writer: { location: A.location, pid: process.pid } },
  });
  for (const said of [A.location, B.location, `process ${process.pid}`])
    expect((refused as Error).message).toContain(said);
  expect((refused as FitdocError).hint).toMatch(/--machine-id.*--fork/);
  expect(await other.writers('vm')).toMatchObject([{ program: 'fitdoc watch', location: A.location }]);
  // One process is no exception, and another machine is no matter.
  await expect(one.claim('vm', B)).rejects.toMatchObject(CONFLICT);
  await (await other.claim('vm2', B)).release();
  await claim.release();
  await claim.release();
  await (await other.claim('vm', B)).release();
  await one.close();
  expect(await claims(store)).toEqual([]);
});

it('of many that come at once lets one through at most', async () => {
  const { open } = await place();
  const all = await Promise.all(Array.from({ length: 6 }, open));
  const tries = await Promise.allSettled(all.map((each) => each.claim('vm', A)));
  expect(tries.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1);
  for (const each of all) await each.close();
  await (await all[0]!.claim('vm', A)).release();
});

it('a holder of this host that was killed is no longer one', async () => {
  const { store, open } = await place();
  const [one, other] = [await open(), await open()];
  await one.claim('vm', A);
  const child = spawn('sleep', ['60']);
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
  const startedAt = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const scope = `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${readlinkSync('/proc/self/ns/pid')}`;
  await moveTo(store, { pid: child.pid, scope, startedAt });
  await expect(other.claim('vm', B)).rejects.toMatchObject(CONFLICT);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await other.claim('vm', B);
  await other.close();
});

it('a holder elsewhere holds for as long as it gives signs of life, whatever the clock is set to', async () => {
  const { clock, store, open } = await place();
  const one = await open();
  await one.claim('vm', A);
  await moveTo(store, ELSEWHERE);
  const other = await open();
  // It lives: its timer refreshes, and puts its own owner back; the steps make it look long gone, or yet to come.
  for (const step of [157_000_000_000, -157_000_000_000, -3_600_000]) {
    clock.step(step);
    const trying = other.claim('vm', B);
    const refused = expect(trying).rejects.toMatchObject(CONFLICT);
    await clock.advance(30_000);
    await refused;
    await moveTo(store, ELSEWHERE);
  }
  await one.close();
});

it('a holder elsewhere that is gone ends after its time, also when the clock was set back meanwhile', async () => {
  for (const step of [0, -3_600_000, 157_000_000_000]) {
    const { clock, store, open } = await place();
    const one = await open();
    const claim = await one.claim('vm', A);
    await moveTo(store, ELSEWHERE);
    const other = await open();
    await expect(other.claim('vm', B)).rejects.toMatchObject(CONFLICT);
    // It ends without a word.
    claim.ensure = () => Promise.reject(new Error('gone'));
    clock.jump(CLAIM_TTL_MS + 1_000);
    clock.step(step);
    const taken = await other.claim('vm', B);
    await expect(taken.ensure({})).resolves.toBeUndefined();
    expect(await claims(store)).toHaveLength(1);
    await other.close();
  }
});

it('a protector that starts again takes over at once, and of two that live one gives way', async () => {
  const { clock, store, open } = await place();
  const protector = 'state-1 vm';
  const before = await open();
  const old = await before.claim('vm', { ...B, protector });
  await moveTo(store, ELSEWHERE, protector);
  const after = await open();
  const claim = await after.claim('vm', { ...B, protector });
  // The one before lives after all, a clone perhaps: it sees that it was taken over, and does not take it back.
  clock.jump(CLAIM_TTL_MS / 2);
  await expect(old.ensure({})).rejects.toMatchObject({ code: 'MACHINE_CONFLICT' });
  await old.release();
  await expect(before.claim('vm', { ...B, protector })).rejects.toMatchObject(CONFLICT);
  await expect(claim.ensure({})).resolves.toBeUndefined();
  await after.close();
  await before.close();
});

it('who could not refresh for too long asks again before it writes', async () => {
  const { clock, store, open } = await place();
  const [one, other] = [await open(), await open()];
  const claim = await one.claim('vm', A);
  clock.jump(CLAIM_TTL_MS * 2);
  await expect(claim.ensure({})).resolves.toBeUndefined();
  await moveTo(store, ELSEWHERE);
  clock.jump(CLAIM_TTL_MS * 2);
  const taken = await other.claim('vm', B);
  await expect(claim.ensure({})).rejects.toMatchObject(CONFLICT);
  await taken.release();
  await one.close();
});

it('goes on while the store does not answer, for as long as nobody can have taken the claim', async () => {
  const clock = new FakeClock();
  const store = new MemoryStore({ now: clock.now });
  await Repository.init(store, { clock });
  let down = false;
  const error = new FitdocError('STORE_UNAVAILABLE', 'no route');
  const repository = await Repository.open(
    withFaults(store, () => (down ? { error } : undefined)),
    { clock },
  );
  const claim = await repository.claim('vm', A);
  down = true;
  clock.jump(CLAIM_TTL_MS / 2);
  await expect(claim.ensure({})).resolves.toBeUndefined();
  clock.jump(CLAIM_TTL_MS / 2);
  await expect(claim.ensure({})).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  // A claim that cannot be taken away now does not stand in this process's own way later; nor does one that came back
  // with the place in which it lay.
  await claim.release();
  down = false;
  await (await repository.claim('vm', A)).release();
  await repository.close();
});

it('a full store holds up no writer: the claim is made when there is room', async () => {
  const clock = new FakeClock();
  const store = new MemoryStore({ now: clock.now });
  await Repository.init(store, { clock });
  let full = true;
  const error = new FitdocError('STORE_FULL', 'no space');
  const repository = await Repository.open(
    withFaults(store, ({ operation }) => (full && operation === 'put' ? { error } : undefined)),
    { clock },
  );
  const claim = await repository.claim('vm', A);
  expect(await claims(store)).toEqual([]);
  await claim.ensure({});
  full = false;
  await claim.ensure({});
  expect(await claims(store)).toHaveLength(1);
  await repository.close();
  expect(await claims(store)).toEqual([]);
});
