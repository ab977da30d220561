import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { kick, readCpuThreads } from '../src/session/cpu-threads.js';
import { bareMetal, beatsMore, boot, stopGuests, withoutKvm, withoutQemu } from './support/real.js';

afterEach(stopGuests);

async function begun(process_: number): Promise<string> {
  const stat = await readFile(`/proc/${process_}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
}

/** Runs a program that says when it is ready, has it kicked, and gives what ended it. */
async function kicked(script: string, started?: string): Promise<unknown> {
  const child = spawn(process.execPath, ['-e', `${script}; console.log('ready'); process.stdin.resume()`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  const pid = child.pid!;
  await kick({ process: pid, begun: started ?? (await begun(pid)), threads: [pid] });
  const ended = once(child, 'exit');
  // A signal that was sent takes its time to reach the program's own loop.
  await Promise.race([ended, sleep(2000)]);
  child.stdin.end();
  return (await ended)[0];
}

const HANDLES = "process.on('SIGUSR1', () => process.exit(9))";

test('who expects the signal gets it, in that thread', async () => {
  expect(await kicked(HANDLES)).toBe(9);
});

test('a later process of the same number gets nothing', async () => {
  expect(await kicked(HANDLES, '1')).toBe(0);
});

test('who would die of the signal gets nothing', async () => {
  const child = spawn('sleep', ['30'], { stdio: 'ignore' });
  await once(child, 'spawn');
  await kick({ process: child.pid!, begun: await begun(child.pid!), threads: [child.pid!] });
  child.kill('SIGTERM');
  expect((await once(child, 'exit'))[1]).toBe('SIGTERM');
});

test.skipIf(withoutQemu)('of an emulated guest there are none', async () => {
  const guest = await boot(bareMetal({ accel: 'tcg', guest: 'firmware', memoryKib: 32 * 1024 + 8 }));
  expect(await readCpuThreads(guest.monitor)).toBeUndefined();
});

test.skipIf(withoutKvm)('those of a guest on KVM can be kicked at any time', async () => {
  const guest = await boot(bareMetal({ cpus: 3 }));
  const threads = (await readCpuThreads(guest.monitor))!;
  expect(threads.process).toBe(guest.pid);
  expect(threads.threads).toHaveLength(3);
  for (let round = 0; round < 50; round++) await kick(threads);
  await beatsMore(guest, 2);
});
