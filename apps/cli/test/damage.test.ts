import { chmod, chown, mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitdoc, fitdocAs, folder, messages } from './cli.js';

const MACHINE = 'mock:holed?memory=4M&resident=1M&working=512K';

let place: Awaited<ReturnType<typeof folder>>;
beforeAll(async () => {
  place = await folder();
});
afterAll(() => place.remove());

interface Chain {
  readonly store: string;
  /** Paths and keys of the objects, base first. */
  readonly files: readonly string[];
  readonly keys: readonly string[];
  readonly ids: readonly string[];
}

async function chain(name: string): Promise<Chain> {
  const store = path.join(place.path, name);
  await fitdoc('watch', MACHINE, '--store', store, '--init', '--every', '20ms', '--count', '4');
  const listed = JSON.parse((await fitdoc('list', '--json', '--store', store)).out) as {
    checkpoints: { id: string; key: string }[];
  };
  const keys = listed.checkpoints.map(({ key }) => key);
  const ids = listed.checkpoints.map(({ id }) => id);
  return { store, keys, ids, files: keys.map((key) => path.join(store, key)) };
}

const WAYS: readonly [string, (file: string) => Promise<unknown>][] = [
  ['cut off', (file) => truncate(file, 1000)],
  ['overwritten', (file) => writeFile(file, 'no checkpoint at all')],
  [
    'a directory now',
    async (file) => {
      await rm(file);
      await mkdir(file);
    },
  ],
];

describe.each(WAYS)('an object of a chain that is %s', (name, way) => {
  it('ends no command: protection goes on, the rest is restored, it is deleted and healed', async () => {
    const { store, files, keys, ids } = await chain(name.replaceAll(' ', '-'));
    const copy = path.join(place.path, `good ${name}`);
    expect((await fitdoc('copy', '--store', store, '--to', copy, '--init')).code).toBe(0);
    await way(files[1]!);
    const at = ['--store', store];
    expect((await fitdoc('verify', ...at)).code).toBe(20);
    const before = await fitdoc('export', ids[0]!, ...at, '-o', path.join(place.path, `${name}.raw`));
    expect(before.code).toBe(0);
    const save = await fitdoc('save', MACHINE, '--json', ...at);
    expect(save.code).toBe(0);
    expect(messages(save).find((message) => message.message_type === 'damage')).toMatchObject({
      code: 'REPOSITORY_DAMAGED',
      missing_id: ids[1],
    });
    expect(messages(save).at(-1)).toMatchObject({ kind: 'base', sequence: 4 });
    const shown = (await fitdoc('list', ...at)).out.includes(`DAMAGED ${keys[1]}`);
    const deleted = await fitdoc('delete', keys[1]!, ...at);
    expect(deleted.code).toBe(shown ? 0 : 1);
    if (shown) expect(deleted.out).toContain(`deleted ${keys[1]}`);
    const healed = await fitdoc('copy', '--store', copy, '--to', store);
    expect(healed.out).toContain('copied 1 checkpoints');
    expect((await fitdoc('verify', '--read-data', ...at)).out).toContain('5 checkpoints verified');
    expect((await fitdoc('verify', '--read-data', ...at)).code).toBe(0);
  });
});

// Root may read everything.
const other = process.getuid?.() === 0 ? it : it.skip;
other(
  'an object that may not be read is not taken for damaged (run as another user; skipped unless tests run as root)',
  async () => {
    const { store, files, keys, ids } = await chain('denied');
    const user = { uid: 65_534, gid: 65_534 };
    for (const entry of await readdir(store, { recursive: true }))
      await chown(path.join(store, entry), ...pair(user));
    await chown(store, ...pair(user));
    await chmod(place.path, 0o755);
    await chmod(files[1]!, 0);
    const at = ['--store', store];
    const listed = await fitdocAs(user, 'list', ...at);
    expect(listed).toMatchObject({
      code: 0,
      out: expect.stringContaining(`UNREADABLE ${keys[1]}`) as string,
    });
    const verified = await fitdocAs(user, 'verify', '--json', ...at);
    expect(verified.code).toBe(3);
    expect(messages(verified).at(-1)).toMatchObject({ damaged: 0, unreadable: 3 });
    const save = await fitdocAs(user, 'save', MACHINE, '--json', ...at);
    expect(save.code).toBe(1);
    expect(messages(save).at(-1)).toMatchObject({ message_type: 'error', code: 'STORE_DENIED' });
    await chmod(files[1]!, 0o600);
    const again = await fitdocAs(user, 'save', MACHINE, '--json', ...at);
    expect(messages(again).at(-1)).toMatchObject({ kind: 'increment', sequence: ids.length });
  },
);

function pair({ uid, gid }: { readonly uid: number; readonly gid: number }): [number, number] {
  return [uid, gid];
}
