import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  missingForKvm,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type RunningGuest,
} from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, messages, start, type Message } from './cli.js';

const kvm = gate('kvm', await missingForKvm());
const MACHINE = '11111111-2222-3333-4444-555555555556';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function place(): Promise<string> {
  const made = await folder();
  cleanups.push(made.remove);
  return made.path;
}

/** A command that goes on, and its messages; ended with the test. */
function follow(...args: string[]) {
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
  return { said, exited, until };
}

async function endLater(pid: number): Promise<void> {
  cleanups.push(async () => {
    process.kill(pid, 'SIGKILL');
    while (existsSync(`/proc/${pid}`)) await sleep(20);
  });
}

/** Its first beats are the original's. */
async function proves(console_: string, original: RunningGuest): Promise<void> {
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

const last = (outcome: { readonly code: number; readonly out: string; readonly err: string }): Message =>
  messages(outcome).at(-1)!;

describe.skipIf(kvm.skip)(kvm.title('fitdoc standby'), () => {
  it('follows a guest, of two one starts it while the old one is protected, and closes the chain to that', async () => {
    const guest = await startGuest({
      ...{ accel: 'kvm', machine: 'pc-i440fx-7.2', name: 'web', uuid: MACHINE },
      ...{ memoryKib: 192 * 1024, firmwareHeart: { mib: 8 } },
    });
    cleanups.push(() => guest.stop());
    await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 2);
    const [store, one, two] = await Promise.all(
      ['r', 'one', 'two'].map(async (name) => path.join(await place(), name)),
    );
    const at = ['--store', store!];
    const old = `kvm:${guest.qmpPath}`;
    const protector = follow('watch', old, ...at, '--init', '--every', '300ms');
    await protector.until((said) => said.length > 1);
    const followers = [one!, two!].map((dir) =>
      follow('standby', store!, 'web', '--dir', dir, '--every', '100ms'),
    );
    const steps = (said: readonly Message[]): number =>
      said.filter(({ message_type: type, full }) => type === 'ready' && full === false).length;
    for (const follower of followers) await follower.until((said) => steps(said) > 2);

    const tries = await Promise.all(
      [one!, two!].map((dir) => fitdoc('standby', 'promote', '--dir', dir, '--json')),
    );
    const winner = tries.find(({ code }) => code === 0)!;
    const loser = tries.find(({ code }) => code !== 0)!;
    const promoted = last(winner);
    await endLater(promoted['pid'] as number);
    expect(last(loser)).toMatchObject({ code: 'MACHINE_CONFLICT' });
    expect(loser.code).toBe(11);
    expect(promoted).toMatchObject({
      state: 'running',
      writers_before: [{ program: 'fitdoc watch', location: old }],
    });
    // Whom the directory belonged to until then has let go of it, in order.
    for (const { exited } of followers) expect((await exited)[0]).toBe(0);
    await proves((promoted['consoles'] as string[])[0]!, guest);

    // The one that was protected is told within seconds, runs on, and may be a fork.
    expect((await protector.exited)[0]).toBe(11);
    const refused = await fitdoc('save', old, ...at, '--json');
    expect(refused.code).toBe(11);
    expect(last(refused)).toMatchObject({
      code: 'MACHINE_CONFLICT',
      message: expect.stringContaining('taken over') as string,
      hint: expect.stringMatching(/--fork/) as string,
    });
    expect(last(await fitdoc('save', old, '--fork', ...at, '--json'))).toMatchObject({ kind: 'base' });
    expect((await readHeartbeats(guest.serialPath)).every(({ intact }) => intact)).toBe(true);

    // The chain goes on with the one that took over, from the state that it began as.
    const saved = last(await fitdoc('save', promoted['to'] as string, ...at, '--json'));
    expect(saved).toMatchObject({ kind: 'increment', machine: MACHINE });
    const listed = messages(await fitdoc('list', ...at, '--json'))[0]!;
    const all = (Array.isArray(listed) ? listed : listed['checkpoints']) as Message[];
    expect(all.find(({ id }) => id === saved['id'])).toMatchObject({ parent: promoted['id'] });
    const dir = [one!, two!][tries.indexOf(winner)]!;
    expect(await fitdoc('standby', 'promote', '--dir', dir, '--json')).toMatchObject({ code: 2 });
    expect(await fitdoc('standby', store!, MACHINE, '--dir', dir, '--once', '--json')).toMatchObject({
      code: 2,
    });
    // What was refused may follow the new one, and be started in its place.
    const other = [one!, two!][tries.indexOf(loser)]!;
    expect(await fitdoc('standby', store!, MACHINE, '--dir', other, '--once')).toMatchObject({ code: 0 });
    const next = last(await fitdoc('standby', 'promote', '--dir', other, '--json'));
    expect(next).toMatchObject({ id: saved['id'], takeover: 2 });
    await endLater(next['pid'] as number);
    await proves((next['consoles'] as string[])[0]!, guest);
  }, 400_000);
});
