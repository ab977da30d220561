import { hostname } from 'node:os';
import { MemoryStore } from '@fitdoc/store-memory';
import { describe, expect, it } from 'vitest';
import { Repository } from '../src/index.js';
import { putChain } from './support/checkpoints.js';
import { FakeClock } from './support/fake-clock.js';

const HOUR = 3_600_000;
const YEARS = 5 * 365 * 24 * HOUR;
const SKEWS = [-YEARS, -HOUR, -70_000, 70_000, HOUR, YEARS];

/** Time that goes on for all, with each host's wall clock, and the store's, off by as much as one likes. */
class Host extends FakeClock {
  constructor(
    private readonly time: FakeClock,
    private readonly offMs: number,
  ) {
    super();
    this.now = () => this.time.steady() + this.offMs;
    this.steady = () => this.time.steady();
  }
  override sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.time.sleep(milliseconds, signal);
  }
  override every(milliseconds: number, body: () => void): () => void {
    return this.time.every(milliseconds, body);
  }
}

async function place() {
  const time = new FakeClock();
  const storeOff = { ms: 0 };
  const store = new MemoryStore({ now: () => time.steady() + storeOff.ms });
  await Repository.init(store, { clock: time });
  const on = (offMs: number) => Repository.open(store, { clock: new Host(time, offMs), lockWaitMs: 3_000 });
  return { time, store, storeOff, on };
}

/** As if the owners of all locks were processes of another host: nobody here can see whether they live. */
async function moveElsewhere(store: MemoryStore): Promise<void> {
  for await (const { key } of store.list('locks/')) {
    const text = new TextDecoder().decode(await store.get(key));
    const moved = text
      .replaceAll(JSON.stringify(hostname()), '"elsewhere"')
      .replace(/"scope":"[^"]*"/, '"scope":"x"');
    const at = (await store.stat(key))!.modifiedMs;
    // The store keeps the time of its last writing: it is put with that.
    await store.put(key, new TextEncoder().encode(moved), { mode: 'replace' });
    expect((await store.stat(key))!.modifiedMs).toBeGreaterThanOrEqual(at);
  }
}

async function locks(store: MemoryStore): Promise<number> {
  let count = 0;
  for await (const _ of store.list('locks/shared/')) count++;
  return count;
}

describe('a lock is judged by no clock that somebody can set', () => {
  it.each(SKEWS)('a host whose clock is off by %i ms cannot take one that lives', async (offMs) => {
    const { time, store, on } = await place();
    const holder = await on(0);
    const chain = await putChain(holder, 2);
    await holder.share('m1', 'restore');
    await moveElsewhere(store);
    const skewed = await on(offMs);
    // By its own clock alone the lock is long gone, or yet to come: a list may not take it away, either.
    expect((await skewed.locks()).length).toBeGreaterThan(0);
    await expect(skewed.delete([chain[1]!])).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
    expect(await locks(store)).toBeGreaterThan(0);
    await time.advance(1_000);
    await holder.close();
  });

  it.each(SKEWS)("nor does a step of %i ms of the store's clock take it", async (stepMs) => {
    const { time, store, storeOff, on } = await place();
    const holder = await on(0);
    const chain = await putChain(holder, 2);
    const lease = await holder.share('m1', 'restore');
    storeOff.ms = stepMs;
    const other = await on(0);
    // The holder refreshes meanwhile, as it does; who waits for it sees that.
    const trying = other.delete([chain[1]!]).then(
      () => 'taken',
      (error: { code: string }) => error.code,
    );
    let outcome: string | undefined;
    void trying.then((value) => (outcome = value));
    for (let passed = 0; outcome === undefined && passed < 120; passed++) await time.advance(1_000);
    expect(await trying).toBe('REPOSITORY_LOCKED');
    expect(lease.isFresh()).toBe(true);
    expect(await locks(store)).toBeGreaterThan(0);
    await holder.close();
  });

  it.each(SKEWS)('who finds one that lives old by a clock off by %i ms waits not for ever', async (offMs) => {
    const { time, store, on } = await place();
    const config = JSON.parse(new TextDecoder().decode(await store.get('config.json'))) as object;
    const first = new TextEncoder().encode(JSON.stringify({ ...config, version: 1 }));
    await store.put('config.json', first, { mode: 'replace' });
    const holder = await on(0);
    await holder.share('m1', 'restore');
    const skewed = await on(offMs);
    let outcome: string | undefined;
    void skewed.allowDerived().then(
      () => (outcome = 'raised'),
      (error: { code: string }) => (outcome = error.code),
    );
    for (let passed = 0; outcome === undefined && passed < 60; passed++) await time.advance(1_000);
    expect(outcome).toBe('REPOSITORY_LOCKED');
    expect(await locks(store)).toBeGreaterThan(0);
    await holder.close();
  });

  it.each([...SKEWS, 0])('one that was left behind ends, with clocks off by %i ms', async (offMs) => {
    for (const stepMs of [0, offMs]) {
      const { time, store, storeOff, on } = await place();
      const holder = await on(0);
      const chain = await putChain(holder, 2);
      await holder.share('m1', 'restore');
      await moveElsewhere(store);
      // Its process has ended, and its time is over.
      time.jump(61_000);
      storeOff.ms = stepMs;
      const skewed = await on(offMs);
      const begun = time.steady();
      let removed = 0;
      while (removed === 0) {
        const trying = skewed.delete([chain[1]!]).catch((error: { code: string }) => {
          expect(error.code).toBe('REPOSITORY_LOCKED');
          return { removed: [] };
        });
        removed = (await trying).removed.length;
        await time.advance(1_000);
        // Twice its time where a step made it look younger, and a watch.
        expect(time.steady() - begun).toBeLessThan(150_000);
      }
    }
  });
});
