import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { startGuest, waitForHeartbeats, type RunningGuest } from '../../../tools/lab/src/qemu/index.js';
import { folder, messages, start, type Message } from './cli.js';

export const MACHINE = '11111111-2222-3333-4444-555555555556';

/** What a test started, the last first. */
export const cleanups: (() => Promise<unknown>)[] = [];

export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** A guest whose beats tell of its memory, and which has begun to beat. */
export async function beating(): Promise<RunningGuest> {
  const guest = await startGuest({
    ...{ accel: 'kvm', machine: 'pc-i440fx-7.2', name: 'web', uuid: MACHINE },
    ...{ memoryKib: 192 * 1024, firmwareHeart: { mib: 8 } },
  });
  cleanups.push(() => guest.stop());
  await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 2);
  return guest;
}

export async function place(): Promise<string> {
  const made = await folder();
  cleanups.push(made.remove);
  return made.path;
}

/** A command that goes on, and its messages; ended with the test. */
export function follow(...args: string[]) {
  const child = start(...args, '--json');
  const said: Message[] = [];
  createInterface(child.stdout!).on('line', (line) => said.push(JSON.parse(line) as Message));
  child.stderr!.resume();
  const exited = once(child, 'exit') as Promise<[number | null]>;
  cleanups.push(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  const until = async (enough: (said: readonly Message[]) => boolean): Promise<void> => {
    while (!enough(said)) {
      if (child.exitCode !== null) throw new Error(`it ended: ${JSON.stringify(said.at(-1))}`);
      await sleep(20);
    }
  };
  return { child, said, exited, until };
}

export async function endLater(pid: number): Promise<void> {
  cleanups.push(async () => {
    process.kill(pid, 'SIGKILL');
    while (existsSync(`/proc/${pid}`)) await sleep(20);
  });
}

/** Its first beats are the original's. */
export async function proves(console_: string, original: RunningGuest): Promise<void> {
  const beats = await waitForHeartbeats(console_, (found) => found.length > 2, 120_000);
  expect(beats.every(({ intact }) => intact)).toBe(true);
  const first = beats.slice(0, 3);
  const last = Math.max(...first.map(({ beat }) => beat));
  const truth = await waitForHeartbeats(
    original.serialPath,
    (found) => found.some(({ beat }) => beat >= last),
    120_000,
  );
  const sums = new Map(truth.map(({ name, beat, sum }) => [`${name} ${beat}`, sum]));
  for (const { name, beat, sum } of first) expect(sum).toBe(sums.get(`${name} ${beat}`));
}

/** Whether a follower has brought its standby forward by increments, some times. */
export function steps(said: readonly Message[]): number {
  return said.filter(({ message_type: type, full }) => type === 'ready' && full === false).length;
}

/** The last message of a command that has ended. */
export const last = (outcome: {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}): Message => messages(outcome).at(-1)!;
