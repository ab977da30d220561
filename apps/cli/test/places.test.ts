import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMAND, fitdoc, folder, type Message } from './cli.js';

const MACHINE = 'mock:placed?memory=8M&workload=kv&seed=3';
let place: Awaited<ReturnType<typeof folder>>;
let store: string;
const at = (name: string): string => path.join(place.path, name);
const modeOf = (file: string): string => (statSync(file).mode & 0o7777).toString(8);

beforeAll(async () => {
  place = await folder();
  store = at('checkpoints');
  expect((await fitdoc('save', MACHINE, '--store', store, '--init')).code).toBe(0);
});
afterAll(() => place.remove());

/** Why nothing can be mounted here, said aloud; where it is required that fails. */
function withoutMounts(): string | undefined {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const required = (process.env['REQUIRE_SUITES'] ?? '').split(',');
    if (required.includes('tmpfs') || required.includes('all')) throw error;
    process.stderr.write(
      'skipped: the command on file systems of its own (tmpfs): mounting is not allowed\n',
    );
    return 'mounting is not allowed';
  }
}
const unmountable = withoutMounts();

describe('an output that is no file', () => {
  const ways: [string, (output: string) => string[]][] = [
    ['export raw', (output) => ['export', 'latest', '-o', output]],
    ['export elf', (output) => ['export', 'latest', '-o', output, '--format', 'elf', '--force']],
    ['restore to a file', (output) => ['restore', 'latest', '--to', `mock:file:${output}`]],
  ];

  it.each(ways)('is never replaced by %s', async (name, way) => {
    const inside = at(`special-${name.replaceAll(' ', '-')}`);
    mkdirSync(inside);
    const output = (name: string): string => path.join(inside, name);
    execFileSync('mkfifo', [output('pipe')]);
    symlinkSync(output('nowhere'), output('link'));
    mkdirSync(output('folder'));
    const special = ['pipe', 'link', 'folder'];
    if (process.getuid?.() === 0 && name !== 'export elf') {
      execFileSync('mknod', [output('device'), 'c', '1', '3']);
      execFileSync('mknod', [output('disk'), 'b', '7', '200']);
      special.push('device', 'disk');
    }
    const before = special.map((kind) => lstatSync(output(kind)).mode);
    for (const kind of special) {
      const outcome = await fitdoc(...way(output(kind)), '--store', store);
      expect(outcome, kind).toMatchObject({ code: 2 });
      expect(outcome.err).toMatch(/which no file may replace/);
    }
    expect(special.map((kind) => lstatSync(output(kind)).mode)).toEqual(before);
    expect(readdirSync(inside).sort()).toEqual([...special].sort());
  });

  it('a link that leads to a file stays one, and the file is replaced when asked', async () => {
    writeFileSync(at('real.raw'), 'old');
    symlinkSync(at('real.raw'), at('link.raw'));
    const args = ['export', 'latest', '--store', store, '-o', at('link.raw')];
    expect((await fitdoc(...args)).code).toBe(2);
    expect((await fitdoc(...args, '--force')).code).toBe(0);
    expect(lstatSync(at('link.raw')).isSymbolicLink()).toBe(true);
    expect(lstatSync(at('real.raw')).size).toBe(8 << 20);
  });
});

describe('who may read', () => {
  it('what is stored and exported: its owner, or the group that was asked for', async () => {
    expect(modeOf(store)).toBe('700');
    expect((await fitdoc('export', 'latest', '--store', store, '-o', at('own.raw'))).code).toBe(0);
    expect(modeOf(at('own.raw'))).toBe('600');
    const group = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
    const shared = ['export', 'latest', '--store', store, '-o', at('shared.raw'), '--group'];
    expect((await fitdoc(...shared, 'no-such-group')).code).toBe(2);
    expect((await fitdoc(...shared, group)).code).toBe(0);
    expect(modeOf(at('shared.raw'))).toBe('640');
    expect((await fitdoc('init', at('of-group'), '--group', group)).code).toBe(0);
    await fitdoc('save', MACHINE, '--store', at('of-group'));
    const checkpoints = path.join(at('of-group'), 'machines/placed/checkpoints');
    expect(modeOf(checkpoints)).toBe('2750');
    for (const name of readdirSync(checkpoints)) expect(modeOf(path.join(checkpoints, name))).toBe('640');
  });

  it('everybody, in a repository of before: verify says so, and changes nothing', async () => {
    const open = at('open');
    await fitdoc('save', MACHINE, '--store', open, '--init');
    execFileSync('chmod', ['-R', 'a+rX', open]);
    expect((await fitdoc('verify', '--store', open)).err).toMatch(/Every user of this host can read/);
    expect(modeOf(path.join(open, 'machines'))).toBe('755');
    chmodSync(open, 0o700);
    expect((await fitdoc('verify', '--store', open)).err).toBe('');
  });
});

describe.skipIf(unmountable !== undefined)('on a file system of its own', () => {
  it('that is full, an export says so and leaves nothing', async () => {
    mkdirSync(at('full'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', at('full')]);
    try {
      for (const format of ['raw', 'elf']) {
        const output = path.join(at('full'), 'x');
        const outcome = await fitdoc('export', 'latest', '--store', store, '-o', output, '--format', format);
        expect(outcome).toMatchObject({ code: 1 });
        expect(outcome.err).toMatch(/no room .*\[STORE_FULL\]/);
        expect(readdirSync(at('full'))).toEqual([]);
      }
      execFileSync('mount', ['-o', 'remount,ro', at('full')]);
      const output = path.join(at('full'), 'x');
      const outcome = await fitdoc('export', 'latest', '--store', store, '-o', output);
      expect(outcome.err).toMatch(/\[STORE_DENIED\]/);
    } finally {
      execFileSync('umount', [at('full')]);
    }
  });

  it('that is taken away and comes back, a watch goes on by itself', async () => {
    const [disk, mounted] = [at('disk'), at('mounted')];
    for (const each of [disk, mounted]) mkdirSync(each);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
    execFileSync('mount', ['--bind', disk, mounted]);
    const args = ['watch', MACHINE, '--store', mounted, '--init', '--every', '50ms', '--json'];
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let step = 0;
    const seen: string[] = [];
    readline.createInterface(child.stdout).on('line', (line) => {
      const message = JSON.parse(line) as Message;
      if (message.message_type === 'error') seen.push(String(message['code']));
      if (message.message_type === 'error' && step === 1) {
        expect(readdirSync(mounted)).toEqual([]);
        execFileSync('mount', ['--bind', disk, mounted]);
        step = 2;
      }
      if (message.message_type !== 'checkpoint') return;
      if (step === 0 && message['sequence'] === 2) {
        execFileSync('umount', ['-l', mounted]);
        step = 1;
      } else if (step === 2) {
        step = 3;
        child.kill('SIGTERM');
      }
    });
    try {
      expect(await once(child, 'close')).toEqual([3, null]);
      expect(new Set(seen)).toEqual(new Set(['STORE_UNAVAILABLE']));
      expect((await fitdoc('verify', '--read-data', '--store', mounted)).code).toBe(0);
    } finally {
      for (const each of [mounted, disk]) execFileSync('umount', ['-l', each]);
    }
  });
});
