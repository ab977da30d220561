import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMAND, fitdoc, folder } from './cli.js';

const run = promisify(execFile);
const MACHINE = 'mock:manners?memory=8M&workload=kv&seed=5';
let place: Awaited<ReturnType<typeof folder>>;
let store: string;

beforeAll(async () => {
  place = await folder();
  store = path.join(place.path, 'checkpoints');
  expect(await fitdoc('init', store)).toMatchObject({ code: 0, err: '' });
  expect((await fitdoc('save', MACHINE, '--store', store)).code).toBe(0);
});
afterAll(() => place.remove());

/** Runs a line of bash in which `$F` is the command and `$S` names the repository. */
async function bash(line: string): Promise<{ out: string; err: string }> {
  const env = { ...process.env, F: COMMAND, N: process.execPath, S: store, M: MACHINE, P: place.path };
  const { stdout, stderr } = await run('bash', ['-c', line], { env });
  return { out: stdout, err: stderr };
}

/** Locks that stay behind tell of a command that did not detach and close. */
function locks(): string[] {
  return readdirSync(path.join(store, 'locks'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.json'));
}

const watching = ['watch', MACHINE, '--store', 'S', '--every', '10ms', '--json'];

function watch(stdio: ('ignore' | 'pipe')[], prefix: string[] = []): ChildProcess {
  const [command = '', ...args] = [...prefix, process.execPath, COMMAND, ...watching];
  return spawn(
    command,
    args.map((arg) => (arg === 'S' ? store : arg)),
    { stdio },
  );
}

describe('the end of a pipe', () => {
  it('ends a watch as SIGPIPE ends other tools: nothing said, detached, locks released', async () => {
    const { out, err } = await bash(
      '"$N" "$F" watch "$M" --store "$S" --every 20ms --json | head -1; echo "${PIPESTATUS[0]}"',
    );
    expect(err).toBe('');
    expect(out).toMatch(/^\{"message_type".*\}\n141\n$/);
    expect(locks()).toEqual([]);
  });

  it('is no error of commands that print once, help among them', async () => {
    const { out, err } = await bash(
      'for c in "list --store $S" --help "info latest --store $S --json"; do "$N" "$F" $c | true; echo "${PIPESTATUS[0]}"; done',
    );
    expect(err).toBe('');
    expect(out).toMatch(/^((0|141)\n){3}$/);
  });
});

it('a full device ends a watch with a word about it, detached', async () => {
  const { out, err } = await bash(
    '"$N" "$F" watch "$M" --store "$S" --every 20ms -q > /dev/full; echo $?; "$N" "$F" list --store "$S" > /dev/full; echo $?',
  );
  expect(out).toBe('1\n1\n');
  expect(err.trim().split('\n')).toHaveLength(2);
  expect(err).toMatch(/the results cannot be written: ENOSPC/);
  expect(locks()).toEqual([]);
});

it('a full device is named by every command that prints, and a pipe that ends is no error of any', async () => {
  const commands = [
    'verify',
    'info latest',
    'prune --keep-last 1 -n',
    'diff latest latest',
    'delete latest -n',
  ];
  const { out, err } = await bash(
    `for c in ${commands.map((command) => `"${command}"`).join(' ')}; do ` +
      '"$N" "$F" $c --store "$S" > /dev/full; echo $?; "$N" "$F" $c --store "$S" | true; echo "${PIPESTATUS[0]}"; done',
  );
  expect(out).toMatch(/^(1\n(0|141)\n){5}$/);
  expect(err.match(/the results cannot be written: ENOSPC/g)).toHaveLength(commands.length);
  expect(err).not.toContain('    at ');
});

it('outputs that are closed, or complaints that nobody takes, change nothing', async () => {
  const { out, err } = await bash(
    '"$N" "$F" save "$M" --store "$S" -q >&-; echo $?; "$N" "$F" save "$M" --store "$S" >&- 2>&-; echo $?; ' +
      '"$N" "$F" save "$M" --store "$S" --level x 2>/dev/full; echo $?; ' +
      '"$N" "$F" verify --read-data --store "$S" >/dev/null; echo $?',
  );
  expect(err).toBe('');
  expect(out).toBe('0\n0\n2\n0\n');
});

it('a reader that stands still holds up no checkpoint', async () => {
  const child = watch(['ignore', 'pipe', 'pipe']);
  // Nothing reads: a pipe holds 64 KiB, some two hundred lines.
  const sequence = async (): Promise<number> => {
    const { checkpoints } = JSON.parse((await fitdoc('list', '--store', store, '--json')).out) as {
      checkpoints: { sequence: number }[];
    };
    return checkpoints.at(-1)?.sequence ?? 0;
  };
  await expect.poll(sequence, { timeout: 60_000, interval: 1000 }).toBeGreaterThan(300);
  child.kill('SIGTERM');
  let last = '';
  child.stdout?.on('data', (chunk: Buffer) => (last = (last + chunk.toString()).slice(-1000)));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  expect(last).toContain('"message_type":"summary"');
});

describe('SIGHUP', () => {
  it('does not end what has no terminal, as under nohup', async () => {
    const child = watch(['ignore', 'pipe', 'ignore'], ['nohup']);
    let taken = 0;
    let sent = 0;
    let ending = false;
    child.stdout?.on('data', (chunk: Buffer) => {
      taken += chunk.toString().split('"checkpoint"').length - 1;
      if (taken >= 2 && sent === 0) child.kill('SIGHUP');
      sent ||= taken;
      // Once: a second one would cancel what is under way.
      if (taken > sent + 3 && !ending) ending = child.kill('SIGTERM');
    });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(taken).toBeGreaterThan(sent + 3);
  });

  it('of a terminal that closes ends a watch: detached, locks released', async () => {
    // script(1) gives it a terminal; when that ends the kernel sends the signal.
    const line = `"$N" "$F" watch "$M" --store "$S" --every 20ms & echo $! > "$P/pid"; wait`;
    const { out } = await bash(
      `timeout -s KILL 4 script -qec '${line}' /dev/null > /dev/null < /dev/null; ` +
        'p=$(cat "$P/pid"); for i in $(seq 150); do kill -0 $p 2>/dev/null || break; sleep 0.1; done; ' +
        'kill -0 $p 2>/dev/null && echo lives || echo ended',
    );
    expect(out.trim().split('\n').at(-1)).toBe('ended');
    expect(locks()).toEqual([]);
  });
});

it('a second Ctrl-C cancels what is under way, and the guest is let go', async () => {
  const slow = 'mock:slow-hand?memory=8M&slow-capture=600s';
  const child = spawn(process.execPath, [COMMAND, 'watch', slow, '--store', store], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // The table's head: it is attached, and the first checkpoint is under way.
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(child.exitCode).toBe(null);
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([130, null]);
});

describe('commands as people type them', () => {
  it('init takes the place behind it, and refuses two', async () => {
    const [one, other] = ['one', 'other'].map((name) => path.join(place.path, name));
    expect((await fitdoc('init', one!, '--json')).out).toContain(one!);
    expect(await fitdoc('init', one!, '--store', other!)).toMatchObject({ code: 2 });
    expect((await fitdoc('list', '--store', one!)).code).toBe(0);
    expect((await fitdoc('list', '--store', other!)).code).toBe(10);
  });

  it.each([
    [['lst'], /Did you mean.*list/],
    [['list', '--stor', 'x'], /Did you mean --store/],
    [['list', './ckpts'], /named with --store/],
    [['--store', './ckpts', 'list'], /behind the command/],
    [['watch', '/run/vm.qmp', '--store', 'S'], /write kvm:\/run\/vm\.qmp/],
    [['restore', 'latest', '--store', 'S', '--to', 'new.sock'], /write kvm:new\.sock/],
    [['save', MACHINE, '--store', 'S', '--compressor', 'gzip'], /zstd, lz4, none/],
  ])('%j is told what to write', async (args, hint) => {
    const outcome = await fitdoc(...args.map((arg) => (arg === 'S' ? store : arg)));
    expect(outcome.code).toBe(2);
    expect(outcome.err).toMatch(hint);
  });
});

/** A control group of version 1 or 2 with little memory; undefined, said aloud, where none can be made. */
function smallGroup(bytes: number): { readonly folder: string; remove(): void } | undefined {
  const roots = [
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
    ['/sys/fs/cgroup', 'memory.max'],
  ] as const;
  for (const [root, limit] of roots) {
    const group = path.join(root, `fitdoc-test-${process.pid}`);
    try {
      mkdirSync(group);
      writeFileSync(path.join(group, limit), String(bytes));
      return { folder: group, remove: () => rmdirSync(group) };
    } catch {
      if (existsSync(group)) rmdirSync(group);
    }
  }
  const required = (process.env['REQUIRE_SUITES'] ?? '').split(',');
  if (required.includes('cgroup') || required.includes('all'))
    throw new Error('no control group can be made');
  process.stderr.write('skipped: the command in a small control group (cgroup): none can be made\n');
  return undefined;
}

const group = smallGroup(600 << 20);
afterAll(() => group?.remove());

it.skipIf(!group)(
  'in a control group smaller than the guest its image is held in part, and one too small for that is named',
  async () => {
    const large = 'mock:large?memory=2G&resident=1M&working=512K';
    const inGroup = (more: string): Promise<{ out: string; err: string }> =>
      bash(
        `sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' sh "${group?.folder}" "$N" "$F" save '${large}' ` +
          `--store "$S" ${more}; echo $?`,
      );
    expect((await inGroup(`--cold-dir '${place.path}'`)).out).toMatch(/\n0\n$/);
    const refused = await inGroup('--memory 12M');
    expect(refused.out).toBe('1\n');
    expect(refused.err).toMatch(/needs at least \d+ MiB of memory; the memory budget is 12 MiB/);
    expect(refused.err).toMatch(/Raise the memory budget/);
  },
);

it('the socket of a daemon may have a longer path than the system takes', async () => {
  const deep = path.join(place.path, 'x'.repeat(60), 'y'.repeat(60));
  mkdirSync(deep, { recursive: true });
  const daemon = http.createServer((_request, response) => response.end('[]'));
  const here = process.cwd();
  process.chdir(deep);
  await new Promise<void>((resolve) => daemon.listen('d.sock', resolve));
  process.chdir(here);
  const outcome = await fitdoc('status', '--daemon', path.join(deep, 'd.sock'), '--json');
  expect(outcome).toMatchObject({ code: 0, err: '' });
  expect((await fitdoc('status', '--daemon', path.join(deep, 'e.sock'))).err).toMatch(/No daemon answers/);
  await new Promise((resolve) => daemon.close(resolve));
});
