import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, expect, it } from 'vitest';
import { halt, isBeingSaved, letGo, monitorsOf } from '../src/direct/guard/toolstack.js';

const started: ChildProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), 'fitdoc-toolstack-'));
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A process that looks like another program. */
async function pretend(argv0: string, words: readonly string[], log?: string): Promise<number> {
  const output = log === undefined ? 'ignore' : openSync(join(folder, log), 'w');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', ...words], {
    argv0,
    stdio: ['ignore', output, 'ignore'],
  });
  started.push(child);
  await once(child, 'spawn');
  return child.pid!;
}

const stateOf = (pid: number) => /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))![1];

async function until(what: () => boolean): Promise<void> {
  for (let look = 0; look < 500 && !what(); look++) await sleep(20);
  expect(what()).toBe(true);
}

it('knows that a domain is being saved by who does it', async () => {
  const helper = '/usr/lib/xen-4.17/bin/libxl-save-helper';
  await pretend(helper, ['--save-domain', '16', '17', '31234', '1', '184', '1']);
  await until(() => isBeingSaved(31234));
  expect(isBeingSaved(16)).toBe(false);
  expect(isBeingSaved(1)).toBe(false);
});

it('finds, halts and lets go who waits for a domain’s end, and nobody else', async () => {
  const mine = await pretend('xl', ['create', '-q', 'web1.cfg'], 'xl-web1.log');
  const restored = await pretend('/usr/sbin/xl', ['restore', 'x'], 'xl-web1.log.1');
  const others = await pretend('xl', ['create', 'web12.cfg'], 'xl-web12.log');
  const saving = await pretend('xl', ['save', '-c', 'web1', 'x'], 'xl-web1.log.2');
  await until(() => monitorsOf('web1').length === 2);
  const found = monitorsOf('web1');
  expect(found.sort()).toEqual([mine, restored].sort());
  halt([...found, 2 ** 22 - 1]);
  await until(() => stateOf(mine) === 'T' && stateOf(restored) === 'T');
  expect([stateOf(others), stateOf(saving)]).not.toContain('T');
  letGo(found);
  await until(() => stateOf(mine) !== 'T' && stateOf(restored) !== 'T');
});
