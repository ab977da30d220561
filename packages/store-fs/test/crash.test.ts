import { crashEverywhere, failEverywhere, type CrashFileSystem } from '@fitdoc/compliance/crash-fs';
import { isFitdocError } from '@fitdoc/interface';
import { expect, it } from 'vitest';
import { FsStore, type FileSystem, type ProcessToken } from '../src/index.js';

let processes = 0;

/** A process of its own on the simulated host: all before it have ended. */
function nextProcess(): ProcessToken {
  const token = `abc.${++processes}.1`;
  return { token, hasEnded: (other) => other !== token };
}

function storeOn(files: CrashFileSystem): FsStore {
  const fileSystem: FileSystem = files;
  return new FsStore('/store', { fileSystem, owner: nextProcess() });
}

const bytesOf = (text: string) => new TextEncoder().encode(text.repeat(1000));

async function contents(store: FsStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key, size } of store.list('')) {
    const bytes = await store.get(key);
    expect(bytes.length, `size of ${key}`).toBe(size);
    found.set(key, new TextDecoder().decode(bytes));
  }
  return found;
}

/** For each key the contents that it may have; undefined stands for none. */
class Ledger {
  readonly may = new Map<string, Set<string | undefined>>();

  async attempt(key: string, after: string | undefined, body: () => Promise<unknown>): Promise<void> {
    const known = this.may.get(key) ?? new Set([undefined]);
    this.may.set(key, new Set([...known, after]));
    try {
      await body();
    } catch (error) {
      // A put that failed and whose host lives on leaves the key as it was.
      if (isFitdocError(error) && known.has(undefined) && after !== undefined) this.may.set(key, known);
      throw error;
    }
    this.may.set(key, new Set([after]));
  }

  check(found: ReadonlyMap<string, string>): void {
    for (const [key, text] of found) {
      expect([...(this.may.get(key) ?? [])].includes(text), `${key} holds what nobody stored`).toBe(true);
    }
    for (const [key, may] of this.may) {
      if (!found.has(key)) expect(may.has(undefined), `${key} was lost`).toBe(true);
    }
  }
}

async function* chunked(text: string): AsyncGenerator<Uint8Array> {
  const bytes = bytesOf(text);
  for (let at = 0; at < bytes.length; at += 300_000) {
    await Promise.resolve();
    yield bytes.subarray(at, at + 300_000);
  }
}

const scenario = {
  async prepare(files: CrashFileSystem) {
    await files.makeDirectory('/store');
    const store = storeOn(files);
    await store.put('old/kept.bin', bytesOf('kept'));
    await store.put('old/gone.bin', bytesOf('gone'));
    await store.put('old/changed.bin', bytesOf('before'));
  },
  ledger() {
    const ledger = new Ledger();
    for (const name of ['kept', 'gone']) ledger.may.set(`old/${name}.bin`, new Set([name.repeat(1000)]));
    ledger.may.set('old/changed.bin', new Set(['before'.repeat(1000)]));
    return ledger;
  },
  async act(files: CrashFileSystem, ledger: Ledger) {
    const store = storeOn(files);
    const put = (key: string, text: string, mode: 'absent' | 'replace' = 'absent', stream = false) =>
      ledger.attempt(key, text.repeat(1000), () =>
        store.put(key, stream ? chunked(text) : bytesOf(text), { mode }),
      );
    await put('new/deep/er/one.bin', 'one');
    await put('new/deep/two.bin', 'two'.repeat(300), 'absent', true);
    await put('old/changed.bin', 'after', 'replace');
    await ledger.attempt('old/gone.bin', undefined, () => store.delete('old/gone.bin'));
    await put('old/gone.bin', 'back');
    await put('plain', 'plain');
  },
  async check(files: CrashFileSystem, ledger: Ledger) {
    const store = storeOn(files);
    const found = await contents(store);
    ledger.check(found);
    await store.put('afterwards.bin', bytesOf('afterwards'));
    const left = await files.list('/store/.fitdoc-incoming');
    expect(left, 'leftovers are cleaned by the next that writes').toEqual([]);
    expect(await contents(store)).toEqual(new Map([...found, ['afterwards.bin', 'afterwards'.repeat(1000)]]));
  },
};

it('keeps every promise whichever call the host crashes at', async () => {
  const { calls, crashes } = await crashEverywhere(scenario);
  expect(calls).toBeGreaterThan(40);
  expect(crashes).toBeGreaterThan(calls * 5);
});

it('keeps every promise when any call fails', async () => {
  const { failures } = await failEverywhere({
    ...scenario,
    async check(files, ledger) {
      const found = await contents(storeOn(files));
      ledger.check(found);
    },
  });
  expect(failures).toBeGreaterThan(80);
});

it('names full and failing disks apart', async () => {
  const failed = new Map<string, Set<string>>();
  await failEverywhere({
    ...scenario,
    async act(files, ledger) {
      await scenario.act(files, ledger).catch((error: unknown) => {
        if (!isFitdocError(error)) throw error;
        const code = String(error.details.errno);
        failed.set(code, (failed.get(code) ?? new Set()).add(error.code));
      });
    },
    async check() {},
  });
  expect(failed.get('ENOSPC')).toEqual(new Set(['STORE_FULL']));
  expect(failed.get('EIO')).toEqual(new Set(['STORE_UNAVAILABLE']));
});

it('would notice a store that does not sync', async () => {
  for (const forgotten of ['syncDirectory', 'sync'] as const) {
    const careless = (files: CrashFileSystem): FileSystem => ({
      create: async (path) => {
        const file = await files.create(path);
        return forgotten === 'sync' ? { ...file, sync: async () => undefined } : file;
      },
      open: (path) => files.open(path),
      link: (from, to) => files.link(from, to),
      rename: (from, to) => files.rename(from, to),
      unlink: (path) => files.unlink(path),
      makeDirectory: (path) => files.makeDirectory(path),
      list: (path) => files.list(path),
      stat: (path) => files.stat(path),
      syncDirectory: (path) =>
        forgotten === 'syncDirectory' ? Promise.resolve() : files.syncDirectory(path),
    });
    const run = crashEverywhere({
      ...scenario,
      async act(files, ledger: Ledger) {
        const store = new FsStore('/store', { fileSystem: careless(files), owner: nextProcess() });
        await ledger.attempt('x', 'x'.repeat(1000), () => store.put('x', bytesOf('x')));
        await ledger.attempt('y', 'y'.repeat(1000), () => store.put('y', bytesOf('y')));
      },
    });
    await expect(run, forgotten).rejects.toThrow('after a crash at call');
  }
});
