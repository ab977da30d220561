import { execFile, spawn } from 'node:child_process';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMAND, fitdoc, fitdocIn, folder, messages, type Outcome } from './cli.js';

const MACHINE = 'mock:sealed?memory=4M&workload=kv&seed=5';
const PASSPHRASE = 'a phrase that is nowhere shown';
let place: Awaited<ReturnType<typeof folder>>;
let store: string;
let keyFile: string;
let passFile: string;
let recoveryKey: string;

const at = (name: string): string => path.join(place.path, name);
const withPass = (...args: string[]): Promise<Outcome> => fitdoc(...args, '--passphrase-file', passFile);

beforeAll(async () => {
  place = await folder();
  [store, keyFile, passFile] = [at('store'), at('host.key'), at('pass')];
  await writeFile(passFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  expect(await fitdoc('key', 'new', keyFile)).toMatchObject({ code: 0 });
  const made = await withPass('init', store, '--encrypt', '--key-file', keyFile, '--recovery-key', '--json');
  expect(made).toMatchObject({ code: 0, err: '' });
  const [summary] = messages(made);
  expect(summary).toMatchObject({
    encrypted: true,
    recovery_key: expect.stringMatching(/^FITDOC-KEY-1/) as string,
  });
  recoveryKey = summary!['recovery_key'] as string;
  const watched = await withPass('watch', MACHINE, '--store', store, '--every', '50ms', '--count', '3');
  expect(watched).toMatchObject({ code: 0 });
});
afterAll(() => place.remove());

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

describe('an encrypted repository', () => {
  it('is opened by every way of giving a secret, and does all that a plain one does', async () => {
    const ways: [string, () => Promise<Outcome>][] = [
      ['file', () => withPass('list', '--store', store, '--json')],
      [
        'command',
        () => fitdoc('list', '--store', store, '--json', '--passphrase-command', `cat ${passFile}`),
      ],
      ['key file', () => fitdoc('list', '--store', store, '--json', '--key-file', keyFile)],
      ['environment', () => fitdocIn({ FITDOC_PASSPHRASE: PASSPHRASE }, 'list', '--store', store, '--json')],
      [
        'file of the environment',
        () => fitdocIn({ FITDOC_PASSPHRASE_FILE: passFile }, 'list', '--store', store, '--json'),
      ],
      [
        'key of the environment',
        () => fitdocIn({ FITDOC_KEY_FILE: keyFile }, 'list', '--store', store, '--json'),
      ],
      ['descriptor', () => byDescriptor(3, 'list', '--store', store, '--json', '--passphrase-fd', '3')],
    ];
    for (const [way, run] of ways) {
      const outcome = await run();
      expect(outcome, way).toMatchObject({ code: 0, err: '' });
      expect((JSON.parse(outcome.out) as { checkpoints: unknown[] }).checkpoints, way).toHaveLength(3);
    }
    await writeFile(at('paper'), `${recoveryKey.match(/.{1,6}/g)!.join(' ')}\n`, { mode: 0o600 });
    expect((await fitdoc('verify', '--read-data', '--store', store, '--key-file', at('paper'))).code).toBe(0);
    expect((await withPass('export', 'latest', '--store', store, '-o', at('memory.raw'))).code).toBe(0);
    expect((await stat(at('memory.raw'))).size).toBe(4 * 2 ** 20);
    expect((await withPass('tag', 'golden', '--store', store)).code).toBe(0);
    expect((await withPass('prune', '--keep-last', '2', '--store', store)).code).toBe(0);
  });

  it('without a secret, or with a wrong one, is one clear line with the remedy, and nothing is touched', async () => {
    const before = await filesBelow(store);
    await writeFile(at('wrong'), 'another\n', { mode: 0o600 });
    await fitdoc('key', 'new', at('other.key'));
    const none = await fitdoc('save', MACHINE, '--store', store);
    expect(none.code).toBe(12);
    expect(none.err).toMatch(/is encrypted, and no secret was given/);
    expect(none.err).toMatch(/--passphrase-file/);
    const wrong = await fitdoc('save', MACHINE, '--store', store, '--passphrase-file', at('wrong'));
    expect(wrong.code).toBe(12);
    expect(wrong.err).toMatch(/The passphrase in \S+wrong is wrong for the repository/);
    expect(wrong.err).toMatch(/It opens with .*a passphrase/);
    const other = await fitdoc('save', MACHINE, '--store', store, '--key-file', at('other.key'), '--json');
    expect(other.code).toBe(12);
    expect(messages(other).at(-1)).toMatchObject({ message_type: 'error', code: 'KEY_WRONG' });
    const absent = await fitdoc('list', '--store', store, '--passphrase-file', at('nowhere'));
    expect(absent).toMatchObject({
      code: 2,
      err: expect.stringContaining('nowhere cannot be read: ENOENT') as string,
    });
    const failing = await fitdoc('list', '--store', store, '--passphrase-command', 'echo nearly; exit 3');
    expect(failing.err).toMatch(/ended with exit code 3/);
    expect(failing.err).not.toContain('nearly');
    expect(failing.err).toMatch(/It was echo\b/);
    expect(await filesBelow(store)).toEqual(before);
  });

  it('holds neither what the guest has nor any secret in the clear', async () => {
    const [secretKey] = (await readFile(keyFile, 'utf8')).split('\n').slice(1);
    for (const file of await filesBelow(store)) {
      const bytes = await readFile(file);
      for (const secret of [PASSPHRASE, secretKey!, recoveryKey, 'FDOC\x00'])
        expect(bytes.includes(secret), file).toBe(false);
    }
  });

  it('tells of a secret that others can read, and of one that is for nothing', async () => {
    await writeFile(at('open'), PASSPHRASE);
    await chmod(at('open'), 0o644);
    expect((await fitdoc('list', '--store', store, '--passphrase-file', at('open'))).err).toMatch(
      /chmod 600/,
    );
    await fitdoc('init', at('plain'));
    const named = await withPass('list', '--store', at('plain'));
    expect(named).toMatchObject({ code: 21, err: expect.stringContaining('is not encrypted') as string });
    const around = await fitdocIn({ FITDOC_PASSPHRASE: PASSPHRASE }, 'list', '--store', at('plain'));
    expect(around).toMatchObject({ code: 0, err: expect.stringContaining('no secret is used') as string });
    expect(await withPass('init', at('unclear'))).toMatchObject({ code: 2 });
    const nobody = await fitdoc('init', at('unclear'), '--encrypt');
    expect(nobody).toMatchObject({ code: 2, err: expect.stringContaining('Nobody could open') as string });
    expect(await readdir(place.path)).not.toContain('unclear');
  });
});

describe('a repository that somebody made look plain', () => {
  const inClear = { FITDOC_PASSPHRASE: PASSPHRASE };

  it('gets nothing of a guest, wherever the secret is from, unless it is said', async () => {
    const own = at('exchanged');
    await withPass('init', own, '--encrypt');
    const config = path.join(own, 'config.json');
    const { sealing: _, ...left } = JSON.parse(await readFile(config, 'utf8')) as Record<string, unknown>;
    await chmod(config, 0o644);
    await writeFile(config, JSON.stringify({ ...left, version: 2 }));
    const before = await filesBelow(own);
    for (const args of [
      ['save', MACHINE, '--store', own],
      ['save', MACHINE, '--store', own, '--init'],
      ['watch', MACHINE, '--store', own, '--count', '1'],
      ['copy', '--store', store, '--to', own],
    ]) {
      const refused = await fitdocIn(inClear, ...args);
      expect(refused, args.join(' ')).toMatchObject({ code: 21 });
      expect(refused.err).toMatch(/is not encrypted, and a secret was given/);
      expect(refused.err).toMatch(/add --plain/);
      expect(await filesBelow(own)).toEqual(before);
    }
    // The secret that is named is that of the copy's source.
    const named = await withPass('copy', '--store', store, '--to', own);
    expect(named).toMatchObject({ code: 21, err: expect.stringContaining('add --plain') as string });
    expect(await filesBelow(own)).toEqual(before);
    const both = await withPass('save', MACHINE, '--store', own, '--plain');
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining('exclude each other') as string });
    expect(await fitdocIn(inClear, 'save', MACHINE, '--store', own, '--plain')).toMatchObject({ code: 0 });
  });

  it('is made where it is asked for, and else not, whatever is in the environment', async () => {
    const [sealed, plain] = [at('init-sealed'), at('init-plain')];
    await fitdocIn(inClear, 'save', MACHINE, '--store', sealed, '--init');
    expect((await fitdoc('list', '--store', sealed)).code).toBe(12);
    await fitdocIn(inClear, 'save', MACHINE, '--store', plain, '--init', '--plain');
    expect((await fitdoc('list', '--store', plain)).code).toBe(0);
  });
});

describe('fitdoc key', () => {
  it('lists, adds, removes and rotates', async () => {
    const own = at('own');
    await withPass('init', own, '--encrypt');
    await writeFile(at('second'), 'the second\n', { mode: 0o600 });
    const opened = (...args: string[]) => withPass(...args, '--store', own);
    expect((await opened('save', MACHINE)).code).toBe(0);
    expect((await opened('key', 'add', '--new-passphrase-file', at('second'), '--label', 'ops')).code).toBe(
      0,
    );
    expect((await opened('key', 'add', '--new-key-file', keyFile)).code).toBe(0);
    const listed = JSON.parse((await opened('key', 'list', '--json')).out) as {
      key_id: string;
      slots: { id: string; kind: string; label: string }[];
    };
    expect(listed.slots.map(({ kind, label }) => `${kind} ${label}`).sort()).toEqual([
      'key host.key',
      'passphrase ',
      'passphrase ops',
    ]);
    expect((await fitdoc('list', '--store', own, '--passphrase-file', at('second'))).code).toBe(0);
    const refused = await opened('key', 'rotate');
    expect(refused).toMatchObject({
      code: 2,
      err: expect.stringContaining('would no longer open') as string,
    });
    const ops = listed.slots.find(({ label }) => label === 'ops')!;
    expect((await opened('key', 'remove', ops.id.slice(0, 8))).code).toBe(0);
    expect((await fitdoc('list', '--store', own, '--passphrase-file', at('second'))).code).toBe(12);
    const rotated = await opened('key', 'rotate', '--key-file', keyFile, '--json');
    expect(rotated.code).toBe(0);
    expect(messages(rotated).at(-1)!['key_id']).not.toBe(listed.key_id);
    expect((await fitdoc('save', MACHINE, '--store', own, '--key-file', keyFile)).code).toBe(0);
    expect((await opened('verify', '--read-data')).code).toBe(0);
    for (const { id } of (
      JSON.parse((await opened('key', 'list', '--json')).out) as typeof listed
    ).slots.slice(1))
      await opened('key', 'remove', id);
    const last = (
      JSON.parse(
        (
          await fitdoc(
            'key',
            'list',
            '--json',
            '--store',
            own,
            '--key-file',
            keyFile,
            '--passphrase-file',
            passFile,
          )
        ).out,
      ) as typeof listed
    ).slots;
    expect(last).toHaveLength(1);
    expect(await fitdoc('key', 'list', '--store', at('plain'))).toMatchObject({ code: 2 });
    expect(await fitdoc('key', 'new', keyFile)).toMatchObject({ code: 2 });
  });

  it('lets an age recipient in who need be on no host', async () => {
    const { generateIdentity, identityToRecipient } = await import('age-encryption');
    const identity = await generateIdentity();
    const other = await generateIdentity();
    await writeFile(at('identity'), `# operator\n${identity}\n`, { mode: 0o600 });
    await writeFile(at('stranger'), `${other}\n`, { mode: 0o600 });
    const own = at('recipients');
    await withPass('init', own, '--encrypt', '--recipient', await identityToRecipient(identity));
    await withPass('save', MACHINE, '--store', own);
    expect((await fitdoc('verify', '--read-data', '--store', own, '--key-file', at('identity'))).code).toBe(
      0,
    );
    // A new key is for the recipients that are named: whoever can write into the store can add one.
    const unnamed = await withPass('key', 'rotate', '--store', own);
    expect(unnamed).toMatchObject({ code: 2, err: expect.stringContaining('--recipient') as string });
    const known = await identityToRecipient(identity);
    expect((await withPass('key', 'rotate', '--store', own, '--recipient', known)).code).toBe(0);
    await withPass('save', MACHINE, '--store', own);
    expect((await fitdoc('verify', '--read-data', '--store', own, '--key-file', at('identity'))).code).toBe(
      0,
    );
    const refused = await fitdoc('list', '--store', own, '--key-file', at('stranger'));
    expect(refused).toMatchObject({ code: 12, err: expect.stringContaining('is no recipient of') as string });
  });
});

describe('fitdoc copy', () => {
  it('goes between plain and encrypted, and as it lies between two of one key', async () => {
    const [plain, sealed, twin] = [at('copy-plain'), at('copy-sealed'), at('copy-twin')];
    await fitdoc('init', plain);
    expect((await withPass('copy', '--store', store, '--to', plain)).code).toBe(21);
    expect((await withPass('copy', '--store', store, '--to', plain, '--plain')).code).toBe(0);
    expect((await fitdoc('verify', '--read-data', '--store', plain)).code).toBe(0);
    const back = await fitdoc('copy', '--store', plain, '--to', sealed, '--init', '--to-key-file', keyFile);
    expect(back.code).toBe(0);
    expect((await fitdoc('list', '--store', sealed)).code).toBe(12);
    expect((await fitdoc('verify', '--read-data', '--store', sealed, '--key-file', keyFile)).code).toBe(0);
    const unlike = await withPass(
      'copy',
      '--store',
      store,
      '--to',
      sealed,
      '--to-key-file',
      keyFile,
      '--as-is',
    );
    expect(unlike).toMatchObject({ code: 2, err: expect.stringContaining('same key') as string });
    expect((await withPass('init', twin, '--encrypt', '--key-of', store)).code).toBe(0);
    // A descriptor is read once, for both.
    const asked = ['init', at('copy-fd'), '--encrypt', '--key-of', store, '--passphrase-fd', '3'];
    expect(await byDescriptor(3, ...asked)).toMatchObject({ code: 0, err: '' });
    const copied = await withPass('copy', '--store', store, '--to', twin, '--as-is', '--json');
    expect(copied.code).toBe(0);
    expect(messages(copied).at(-1)!['as_is']).toBeGreaterThan(0);
    expect((await withPass('verify', '--read-data', '--store', twin)).code).toBe(0);
    // What was encrypted is not copied into a new repository that is not.
    await withPass('copy', '--store', store, '--to', at('copy-new'), '--init');
    expect((await fitdoc('list', '--store', at('copy-new'))).code).toBe(12);
  });
});

it('a passphrase of the environment is in no process that the command starts', async () => {
  const outcome = await fitdocIn(
    { FITDOC_PASSPHRASE: PASSPHRASE, FITDOC_PASSPHRASE_COMMAND: `env > ${at('env')}; cat ${passFile}` },
    'list',
    '--store',
    store,
  );
  expect(outcome.code).toBe(0);
  expect(await readFile(at('env'), 'utf8')).not.toContain(PASSPHRASE);
});

it('a passphrase is asked for on a terminal, and not shown there', async () => {
  const typed = await onTerminal(`node ${COMMAND} list --store ${store} --json`, `${PASSPHRASE}\r`);
  expect(typed).toContain('Passphrase of the repository: ');
  expect(typed).toContain('"checkpoints"');
  expect(typed).not.toContain(PASSPHRASE);
});

it('what is copied with a passphrase that was typed is encrypted with it where it is made', async () => {
  const made = at('copy-typed');
  await onTerminal(`node ${COMMAND} copy --store ${store} --to ${made} --init`, `${PASSPHRASE}\r`);
  expect((await fitdoc('list', '--store', made)).code).toBe(12);
  expect((await withPass('list', '--store', made)).code).toBe(0);
});

/** Runs a command on a terminal of its own (script(1)) and types when it asks. */
function onTerminal(command: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    child.on('error', reject);
    child.stdout.on('data', (data: Buffer) => {
      const before = out.includes('repository: ');
      out += data.toString();
      if (!before && out.includes('repository: ')) child.stdin.write(text);
    });
    child.on('close', () => resolve(out));
  });
}

function byDescriptor(descriptor: number, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const line = `exec ${descriptor}<${passFile}; exec ${process.execPath} ${COMMAND} ${args.join(' ')}`;
    execFile('sh', ['-c', line], (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out, err });
    });
  });
}
