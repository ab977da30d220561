import { storeSuite, type Runner } from '@fitdoc/compliance/store';
import { FitdocError, isFitdocError, type ObjectStat, type Store } from '@fitdoc/interface';
import { describe, expect, it } from 'vitest';

/** A store whose methods need no `this`, so that a change can call what it replaces. */
type BoundStore = {
  [Name in keyof Store]: Store[Name] extends (...args: infer A) => infer R
    ? (this: void, ...args: A) => R
    : Store[Name];
};
type Methods = Partial<Store>;

/** A store that does all that the port asks for, kept here so that the suite is not tested by what it tests. */
function plainStore(): BoundStore {
  const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();
  let closed = false;
  const begin = (key: string | undefined, signal: AbortSignal | undefined) => {
    if (closed) throw new FitdocError('STORE_CLOSED', 'closed');
    if (signal?.aborted) {
      const { reason } = signal as { reason: unknown };
      throw isFitdocError(reason) ? reason : new FitdocError('ABORTED', 'aborted');
    }
    const good = (text: string) =>
      text.split('/').every((part) => /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(part));
    if (key !== undefined && (key.length > 512 || key.includes('\n') || !good(key))) {
      throw new FitdocError('ARGUMENT_INVALID', 'key');
    }
  };
  const statOf = (key: string): ObjectStat | undefined => {
    const found = objects.get(key);
    return found && { key, size: found.bytes.length, modifiedMs: found.modifiedMs };
  };
  const store: BoundStore = {
    specificationVersion: 'store-v1',
    supports: Object.freeze({ conditionalPut: true, durable: false }),
    location: 'plain:',
    async put(key, body, { mode, signal } = {}) {
      begin(key, signal);
      const parts: Uint8Array[] = [];
      const iterator = body instanceof Uint8Array ? [body][Symbol.iterator]() : body[Symbol.asyncIterator]();
      const aborted = new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(new FitdocError('ABORTED', 'aborted')));
      });
      aborted.catch(() => undefined);
      try {
        for (;;) {
          const step = await Promise.race([iterator.next(), aborted]);
          if (step.done) break;
          parts.push(step.value.slice());
          begin(key, signal);
        }
      } catch (error) {
        void iterator.return?.();
        throw error;
      }
      begin(key, signal);
      if (mode !== 'replace' && objects.has(key)) throw new FitdocError('STORE_EXISTS', 'exists');
      objects.set(key, { bytes: new Uint8Array(Buffer.concat(parts)), modifiedMs: Date.now() });
      return statOf(key)!;
    },
    async get(key, range, { signal } = {}) {
      begin(key, signal);
      const found = objects.get(key);
      if (!found) throw new FitdocError('STORE_NOT_FOUND', 'missing');
      return range ? found.bytes.slice(range.offset, range.offset + range.length) : found.bytes.slice();
    },
    async stat(key, { signal } = {}) {
      begin(key, signal);
      return statOf(key);
    },
    async *list(prefix, { signal, startAfter = '' } = {}) {
      begin(undefined, signal);
      if (!/^[A-Za-z0-9._/-]{0,512}$/.test(startAfter)) throw new FitdocError('ARGUMENT_INVALID', 'after');
      const listed = (name: string) => name.startsWith(prefix) && name > startAfter;
      for (const key of [...objects.keys()].filter(listed).sort()) {
        begin(undefined, signal);
        const stat = statOf(key);
        if (stat) yield stat;
      }
    },
    async delete(key, { signal } = {}) {
      begin(key, signal);
      objects.delete(key);
    },
    async deleteMany(keys, { signal } = {}) {
      for (const key of keys) begin(key, signal);
      begin(undefined, signal);
      for (const key of keys) objects.delete(key);
      return [];
    },
    async close() {
      closed = true;
    },
  };
  return store;
}

/** Runs the suite outside the runner, and gives the names of the tests that failed. */
async function failuresOf(change: (store: BoundStore) => Methods): Promise<string[]> {
  const tests: { name: string; body: () => Promise<void> }[] = [];
  const runner: Runner = {
    describe: (_name, body) => body(),
    it: (name, body) => void tests.push({ name, body }),
  };
  storeSuite(runner, {
    name: 'changed',
    largeBytes: 1 << 20,
    parallel: 20,
    async open() {
      const store = plainStore();
      return { store: Object.assign(store, change({ ...store })) };
    },
  });
  const failed: string[] = [];
  for (const { name, body } of tests) {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 2_000).unref());
    await Promise.race([body(), late]).catch(() => failed.push(name));
  }
  return failed;
}

const wrong: Record<string, (store: BoundStore) => Methods> = {
  'put overwrites': ({ put }) => ({
    put: (key, body, options) => put(key, body, { ...options, mode: 'replace' }),
  }),
  'put ignores the signal': ({ put }) => ({
    put: (key, body, { mode } = {}) => put(key, body, mode ? { mode } : {}),
  }),
  'put keeps half a body that failed': ({ put }) => ({
    async put(key, body, options) {
      async function* swallowing() {
        try {
          yield* body instanceof Uint8Array ? [body] : body;
        } catch {
          // Kept.
        }
      }
      return put(key, swallowing(), options);
    },
  }),
  'get gives the range before': ({ get }) => ({
    get: (key, range, options) =>
      get(key, range && { ...range, offset: Math.max(0, range.offset - 1) }, options),
  }),
  'a range past the end fails': ({ get, stat }) => ({
    async get(key, range, options) {
      const size = (await stat(key, options))?.size ?? 0;
      if (range && range.offset + range.length > size) throw new FitdocError('ARGUMENT_INVALID', 'range');
      return get(key, range, options);
    },
  }),
  'a missing object is empty': ({ get }) => ({
    get: (key, range, options) =>
      get(key, range, options).catch((error: FitdocError) => {
        if (error.code === 'STORE_NOT_FOUND') return new Uint8Array();
        throw error;
      }),
  }),
  'delete of nothing fails': ({ stat, delete: remove }) => ({
    async delete(key, options) {
      if (!(await stat(key, options))) throw new FitdocError('STORE_NOT_FOUND', 'missing');
      return remove(key, options);
    },
  }),
  'list is in another order': ({ list }) => ({
    async *list(prefix, options) {
      const stats: ObjectStat[] = [];
      for await (const stat of list(prefix, options)) stats.push(stat);
      yield* stats.sort((one, other) => one.key.localeCompare(other.key, 'en'));
    },
  }),
  'list takes prefixes for directories': ({ list }) => ({
    async *list(prefix, options) {
      for await (const stat of list(prefix, options)) {
        if (prefix === '' || prefix.endsWith('/') || stat.key[prefix.length] === '/') yield stat;
      }
    },
  }),
  'list stops at a thousand': ({ list }) => ({
    async *list(prefix, options) {
      let count = 0;
      for await (const stat of list(prefix, options)) if (++count <= 1000) yield stat;
    },
  }),
  'list begins with the key itself': ({ list }) => ({
    async *list(prefix, options = {}) {
      for await (const stat of list(prefix, options.signal ? { signal: options.signal } : {})) {
        if (stat.key >= (options.startAfter ?? '')) yield stat;
      }
    },
  }),
  'deleteMany takes a thousand and no more': ({ delete: remove }) => ({
    async deleteMany(keys, options) {
      for (const key of keys.slice(0, 1_000)) await remove(key, options);
      return [];
    },
  }),
  'close is forgotten': () => ({ close: async () => undefined }),
  'keys may hold anything': ({ get }) => ({
    get: (key, range, options) =>
      key.includes(' ') ? Promise.resolve(new Uint8Array()) : get(key, range, options),
  }),
  'times are in seconds': ({ put }) => ({
    async put(key, body, options) {
      const stat = await put(key, body, options);
      return { ...stat, modifiedMs: stat.modifiedMs / 1000 };
    },
  }),
  'memory is shared': ({ get }) => {
    const given = new Map<string, Uint8Array>();
    return {
      async get(key, range, options) {
        const bytes = given.get(key) ?? (await get(key, undefined, options));
        given.set(key, bytes);
        return range ? bytes.subarray(range.offset, range.offset + range.length) : bytes;
      },
    };
  },
  'supports can be changed': () => ({ supports: { conditionalPut: true, durable: true } }),
};

describe('the store suite', () => {
  it('passes a store that does what the port says', async () => {
    expect(await failuresOf(() => ({}))).toEqual([]);
  });

  it.each(Object.keys(wrong))('notices when %s', async (name) => {
    expect(await failuresOf(wrong[name]!)).not.toEqual([]);
  });
});
