import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isAlive } from '../src/launch/alive.js';
import { startKept, type KeptProcess } from '../src/launch/process.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fitdoc-process-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function start(name: string, words: readonly string[], cwd?: string): Promise<KeptProcess> {
  const place = join(directory, name);
  await mkdir(place);
  return startKept(words, place, cwd);
}

const SLEEPS = ['sleep', '1000'];

test('programs started together each end by themselves, more than one shell has room for', async () => {
  const all = await Promise.all(Array.from({ length: 10 }, (_, n) => start(`p${n}`, SLEEPS)));
  expect(new Set(all.map(({ pid }) => pid)).size).toBe(10);
  expect(all.every(({ pid }) => isAlive(pid))).toBe(true);
  for (const [n, each] of all.entries()) {
    await each.end();
    expect(isAlive(each.pid)).toBe(false);
    expect(existsSync(join(directory, `p${n}`))).toBe(false);
    expect(all.slice(n + 1).every((other) => isAlive(other.pid))).toBe(true);
  }
});

test('a program gets its words as they are, its directory and its log', async () => {
  const words = ["it's", 'a "word"', 'of\ntwo lines', '$HOME `id` \\', ''];
  const script = 'pwd; echo "$TMPDIR"; printf "<%s>" "$@"; exec sleep 1000';
  const program = await start('said', ['sh', '-c', script, 'sh', ...words], '/usr');
  const said = join(directory, 'said');
  const wanted = `/usr\n${said}\n${words.map((word) => `<${word}>`).join('')}`;
  await vi.waitFor(async () => expect(await program.log()).toBe(wanted), { timeout: 10_000 });
  await program.end();
});

test('a program sees the environment as it was when it was started, and none of the descriptors of keepers', async () => {
  const first = await start('first', SLEEPS);
  process.env['FITDOC_TEST_WORD'] = 'later';
  try {
    const script = 'echo "$FITDOC_TEST_WORD"; ls /proc/$$/fd; exec sleep 1000';
    const second = await start('second', ['sh', '-c', script]);
    await vi.waitFor(async () => expect(await second.log()).toMatch(/^later(\n(0|1|2|\d\d+))*\n$/), {
      timeout: 10_000,
    });
    await second.end();
  } finally {
    delete process.env['FITDOC_TEST_WORD'];
    await first.end();
  }
});

test('one that was released goes on, and its directory stays', async () => {
  const program = await start('released', SLEEPS);
  await program.release();
  expect(isAlive(program.pid)).toBe(true);
  expect(existsSync(join(directory, 'released', 'qemu.log'))).toBe(true);
  process.kill(program.pid, 'SIGKILL');
});

test('what cannot be started has no process', async () => {
  const nowhere = await start('nowhere', SLEEPS, join(directory, 'none'));
  expect(nowhere.pid).toBe(0);
  await nowhere.end();
});

test('all end, and their directories go, with a process that is killed', async () => {
  const source = fileURLToPath(new URL('../src/launch/process.ts', import.meta.url));
  const parent = join(directory, 'parent.mts');
  const place = (name: string): string => join(directory, name);
  await Promise.all(['a', 'b'].map((name) => mkdir(place(name))));
  await writeFile(
    parent,
    `import { startKept } from ${JSON.stringify(source)};
     const kept = await Promise.all(${JSON.stringify(['a', 'b'].map(place))}.map((each) => startKept(['sleep', '1000'], each)));
     console.log(kept.map(({ pid }) => pid).join(' '));`,
  );
  const child = spawn(process.execPath, ['--import', 'tsx', parent], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const pids = line.toString().trim().split(' ').map(Number);
  expect(pids.every((pid) => isAlive(pid))).toBe(true);
  child.kill('SIGKILL');
  await vi.waitFor(
    () => {
      expect(pids.some((pid) => isAlive(pid))).toBe(false);
      expect(['a', 'b'].some((name) => existsSync(place(name)))).toBe(false);
    },
    { timeout: 10_000 },
  );
});
