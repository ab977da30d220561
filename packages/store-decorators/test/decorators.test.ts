import { FitdocError, type Store } from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';
import { describe, expect, it } from 'vitest';
import {
  randomFaults,
  withBandwidthLimit,
  withFaults,
  withReadCache,
  withRetry,
  type Fault,
} from '../src/index.js';

const passing = () => new FitdocError('STORE_UNAVAILABLE', 'It may pass.', { retryable: true });
const bytes = (length: number, fill = 1) => new Uint8Array(length).fill(fill);

/** Fails the first calls as told, one fault a call. */
function failing(store: Store, ...faults: (Fault | undefined)[]): Store {
  return withFaults(store, ({ count }) => faults[count - 1]);
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

describe('retry', () => {
  it('waits at random below a bound that doubles, and gives up in the end', async () => {
    const waits: number[] = [];
    const retrying = withRetry(
      withFaults(new MemoryStore(), () => ({ error: passing() })),
      {
        attempts: 8,
        baseMs: 100,
        maxMs: 1_000,
        random: () => 0.5,
        sleep: async (milliseconds) => void waits.push(milliseconds),
      },
    );
    await expect(retrying.get('a')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(waits).toEqual([50, 100, 200, 400, 500, 500, 500]);
  });

  it('does not repeat what will not pass', async () => {
    let calls = 0;
    const counting = withFaults(new MemoryStore(), () => {
      calls++;
      return { error: new FitdocError('STORE_DENIED', 'No.') };
    });
    await expect(withRetry(counting).put('a', bytes(1))).rejects.toMatchObject({ code: 'STORE_DENIED' });
    expect(calls).toBe(1);
  });

  it('is cancelled while it waits', async () => {
    const retrying = withRetry(
      withFaults(new MemoryStore(), () => ({ error: passing() })),
      { baseMs: 1e6, maxMs: 1e6 },
    );
    const signal = AbortSignal.timeout(20);
    await expect(retrying.stat('a', { signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('finds its own bytes where an answer was lost, and nobody else’s', async () => {
    const memory = new MemoryStore();
    const lost = { error: passing(), when: 'after' as const };
    const stat = await withRetry(failing(memory, lost), { baseMs: 1 }).put('a', bytes(10));
    expect(stat.size).toBe(10);
    const before = { error: passing() };
    for (const other of [bytes(10, 2), bytes(11)]) {
      const retrying = withRetry(failing(memory, before), { baseMs: 1 });
      await expect(retrying.put('a', other)).rejects.toMatchObject({ code: 'STORE_EXISTS' });
    }
  });

  it('repeats a stream only while it was not read', async () => {
    const memory = new MemoryStore();
    const stream = async function* () {
      yield bytes(100);
      yield bytes(100);
    };
    await withRetry(failing(memory, { error: passing() }), { baseMs: 1 }).put('a', stream());
    const broken = withRetry(failing(memory, { error: passing(), when: 150 }), { baseMs: 1 });
    await expect(broken.put('b', stream())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await keysOf(memory)).toEqual(['a']);
  });

  it('goes on with a listing where it broke off', async () => {
    const memory = new MemoryStore();
    const keys = Array.from({ length: 9 }, (_, i) => `k${i}`);
    for (const key of keys) await memory.put(key, bytes(1));
    const broken = failing(
      memory,
      { error: passing(), when: 4 },
      { error: passing() },
      { error: passing(), when: 7 },
    );
    expect(await keysOf(withRetry(broken, { baseMs: 1, attempts: 3 }))).toEqual(keys);
  });

  it('deletes again, of many, those that may yet go', async () => {
    const memory = new MemoryStore();
    const keys = ['a', 'b', 'c', 'd'];
    for (const key of keys) await memory.put(key, bytes(1));
    const asked: string[][] = [];
    const denied = new FitdocError('STORE_DENIED', 'No.');
    const picky = Object.assign(new MemoryStore({ shareWith: memory }), {
      async deleteMany(some: readonly string[]) {
        asked.push([...some]);
        if (asked.length === 2) throw passing();
        const failures = some.map((key) => ({ key, error: key === 'a' ? denied : passing() }));
        const left = asked.length === 1 ? failures.slice(0, 3) : [];
        await memory.deleteMany(some.filter((key) => !left.some((failure) => failure.key === key)));
        return left;
      },
    });
    expect(await withRetry(picky, { baseMs: 1 }).deleteMany!(keys)).toEqual([{ key: 'a', error: denied }]);
    expect(asked).toEqual([keys, ['b', 'c'], ['b', 'c']]);
    expect(await keysOf(memory)).toEqual(['a']);
    const never = withFaults(memory, () => ({ error: passing(), when: 0 }));
    await expect(withRetry(never, { baseMs: 1, attempts: 2 }).deleteMany!(['a'])).rejects.toThrow('may pass');
  });
});

describe('bandwidth limit', () => {
  it('holds its rate over all calls together', async () => {
    let now = 0;
    const clock = {
      now: () => now,
      sleep: async (milliseconds: number) => {
        const until = now + milliseconds;
        await Promise.resolve();
        now = Math.max(now, until);
      },
    };
    const options = { uploadBytesPerSecond: 1e6, downloadBytesPerSecond: 2e6, burstBytes: 0, ...clock };
    const store = withBandwidthLimit(new MemoryStore(), options);
    await Promise.all(['a', 'b', 'c', 'd'].map((key) => store.put(key, bytes(500_000))));
    expect(now).toBeGreaterThanOrEqual(1_999);
    expect(now).toBeLessThan(2_100);
    now = 10_000;
    await store.get('a');
    expect(now).toBeCloseTo(10_250, 3);
    await store.get('a', { offset: 0, length: 1000 });
    expect(now).toBeCloseTo(10_250.5, 3);
  });

  it('lets a burst pass, and is cancelled while it waits', async () => {
    const store = withBandwidthLimit(new MemoryStore(), { uploadBytesPerSecond: 1, burstBytes: 1000 });
    await store.put('a', bytes(900));
    const signal = AbortSignal.timeout(20);
    await expect(store.put('b', bytes(5000), { signal })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await keysOf(store)).toEqual(['a']);
    expect(() => withBandwidthLimit(store, { uploadBytesPerSecond: 0 })).toThrow('bandwidth');
  });
});

describe('read cache', () => {
  it('reads once, whole and in parts, within its bytes', async () => {
    const store = withReadCache(new MemoryStore(), { maxBytes: 1000 });
    for (let i = 0; i < 9; i++) await store.put(`${i}.fitdoc`, bytes(200, i));
    for (let round = 0; round < 3; round++) await store.get('0.fitdoc', { offset: 5, length: 10 });
    expect(store.cache).toEqual({ hits: 2, misses: 1, bytes: 10 });
    for (let i = 0; i < 9; i++) {
      await store.get(`${i}.fitdoc`);
      expect(store.cache.bytes).toBeLessThanOrEqual(1000);
    }
    const { hits } = store.cache;
    expect(await store.get('8.fitdoc', { offset: 190, length: 50 })).toEqual(bytes(10, 8));
    await store.get('0.fitdoc');
    expect(store.cache.hits).toBe(hits + 1);
    await store.put('large.fitdoc', bytes(300));
    await store.get('large.fitdoc');
    await store.get('large.fitdoc');
    expect(store.cache.hits).toBe(hits + 1);
  });

  it('leaves alone what may change under it', async () => {
    const memory = new MemoryStore();
    const store = withReadCache(memory);
    await store.put('config.json', bytes(1));
    await store.get('config.json');
    await memory.put('config.json', bytes(2), { mode: 'replace' });
    expect((await store.get('config.json')).length).toBe(2);
  });

  it('does not keep what was read while it was replaced', async () => {
    const memory = new MemoryStore();
    await memory.put('a.fitdoc', bytes(5, 1));
    const slow = withFaults(memory, ({ operation }) => (operation === 'get' ? { delayMs: 20 } : undefined));
    const store = withReadCache(slow);
    const reading = store.get('a.fitdoc');
    await store.put('a.fitdoc', bytes(5, 2), { mode: 'replace' });
    await reading;
    expect(await store.get('a.fitdoc')).toEqual(bytes(5, 2));
  });
});

describe('faults', () => {
  it('are the same for the same seed', () => {
    const fates = (seed: number) => {
      const plan = randomFaults({ seed, rate: 0.5, operations: ['put'], loseAnswers: true });
      return Array.from(
        { length: 50 },
        (_, i) => plan({ operation: i % 2 ? 'put' : 'get', key: 'k', count: i })?.when,
      );
    };
    expect(fates(1)).toEqual(fates(1));
    expect(fates(1)).not.toEqual(fates(2));
    expect(fates(1).filter((_, i) => i % 2 === 0)).toEqual(Array(25).fill(undefined));
    expect(new Set(fates(1))).toEqual(new Set([undefined, 'before', 'after']));
  });

  it('happen before, after and in the middle', async () => {
    const memory = new MemoryStore();
    const error = passing();
    const store = failing(memory, { error }, { error, when: 'after' }, { error, when: 10 }, { delayMs: 1 });
    await expect(store.put('a', bytes(20))).rejects.toBe(error);
    await expect(store.put('b', bytes(20))).rejects.toBe(error);
    await expect(store.put('c', bytes(20))).rejects.toBe(error);
    await store.put('d', bytes(20));
    expect(await keysOf(memory)).toEqual(['b', 'd']);
  });
});
