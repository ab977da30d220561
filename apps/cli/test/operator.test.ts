import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
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
import type { QmpClient } from '../../../packages/qemu/src/qmp/client.js';
import { connectSocket } from '../../../packages/qemu/src/qmp/socket.js';
import { fitdoc, folder, messages, start } from './cli.js';

const kvm = gate('kvm', await missingForKvm());
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function store(): Promise<string> {
  const made = await folder();
  cleanups.push(made.remove);
  return path.join(made.path, 'r');
}

describe('fitdoc watch leaves a guest to its operator', () => {
  it('who stops it for a while: that is no failure, and an increment follows', async () => {
    const args = ['--store', await store(), '--init', '--every', '50ms', '--count', '3', '--json'];
    const outcome = await fitdoc('watch', 'mock:o?memory=8M&stop-after=1&stop-for=700ms', ...args);
    expect(outcome.code).toBe(0);
    const said = messages(outcome);
    const told = said.filter(
      ({ message_type: type, message }) => type === 'status' && !String(message).includes('left out'),
    );
    expect(told[0]).toMatchObject({ code: 'MACHINE_NOT_RUNNING', details: { state: 'paused' } });
    expect(told[1]?.['message']).toMatch(/runs again/);
    const taken = said.filter(({ message_type: type }) => type === 'checkpoint');
    expect(taken.map(({ kind }) => kind)).toEqual(['base', 'increment', 'increment']);
  });

  it('and ends well with one that powers off', async () => {
    const args = ['--store', await store(), '--init', '--every', '50ms'];
    const outcome = await fitdoc('watch', 'mock:o?memory=8M&power-off=2', ...args);
    expect(outcome.code).toBe(0);
    expect(outcome.err).toContain('has powered off');
    expect(outcome.out).toContain('2 checkpoints');
  });
});

it('exit code 22 is for a guest that still stands, not for one that the detach freed', async () => {
  const args = ['--store', await store(), '--init', '--every', '50ms'];
  const outcome = await fitdoc('watch', 'mock:o?memory=8M&leave-paused=2', ...args);
  expect(outcome).toMatchObject({ code: 1, err: expect.stringContaining('MACHINE_PAUSED') as string });
});

describe.skipIf(kvm.skip)(kvm.title('fitdoc watch on a real QEMU guest'), () => {
  async function watched(extraArgs: readonly string[] = []) {
    const monitorArgs = ['-qmp', 'unix:monitor.sock,server=on,wait=off'];
    const guest = await startGuest({ accel: 'kvm', name: 'e2e', extraArgs: [...extraArgs, ...monitorArgs] });
    cleanups.push(() => guest.stop());
    await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 2);
    const { client: monitor } = await connectSocket(`${guest.directory}/monitor.sock`);
    cleanups.push(() => monitor.close());
    const args = ['--store', await store(), '--init', '--every', '100ms', '--json'];
    const child = start('watch', `kvm:${guest.qmpPath}`, ...args);
    return { guest, monitor, child, output: gather(child) };
  }

  it('Ctrl-C leaves a guest that its operator stopped standing, with exit code 0', async () => {
    const { guest, monitor, child, output } = await watched();
    await output.until('"message_type":"checkpoint"', 3);
    await stop(monitor);
    await output.until('MACHINE_NOT_RUNNING');
    child.kill('SIGINT');
    expect(await output.exit).toBe(0);
    expect(await beats(guest)).toBe(0);
    expect(await monitor.execute('query-status')).toMatchObject({ status: 'paused' });
  });

  it('goes on with an increment when the guest runs again, and ends with a power-off', async () => {
    const { monitor, output } = await watched();
    await output.until('"message_type":"checkpoint"', 3);
    await stop(monitor);
    await output.until('MACHINE_NOT_RUNNING');
    const before = output.count('"message_type":"checkpoint"');
    await monitor.execute('cont');
    await output.until('"message_type":"checkpoint"', before + 2);
    expect(output.count('"kind":"base"')).toBe(1);
    const lines = [
      '/w 0xcf8 0x80000b40',
      '/w 0xcfc 0x601',
      '/w 0xcf8 0x80000b80',
      '/b 0xcfc 1',
      '/h 0x604 0x2000',
    ];
    for (const line of lines)
      await monitor.execute('human-monitor-command', { 'command-line': `o ${line}` }).catch(() => undefined);
    expect(await output.exit).toBe(0);
    expect(output.count('has powered off')).toBe(1);
  });
});

describe.skipIf(kvm.skip)(kvm.title('fitdoc save --standing of a real QEMU guest'), () => {
  async function stopped() {
    const monitorArgs = ['-qmp', 'unix:monitor.sock,server=on,wait=off'];
    const guest = await startGuest({ accel: 'kvm', name: 'stands', extraArgs: monitorArgs });
    cleanups.push(() => guest.stop());
    await waitForHeartbeats(guest.serialPath, (found) => found.length > 2);
    const { client: monitor } = await connectSocket(`${guest.directory}/monitor.sock`);
    cleanups.push(() => monitor.close());
    const status = async () => (await monitor.execute<{ status: string }>('query-status')).status;
    return { guest, monitor, status };
  }

  it('takes one that its operator paused, which stands on; the copy stands until it is let run', async () => {
    const { guest, monitor, status } = await stopped();
    const args = ['--store', await store(), '--init', '--json'];
    await stop(monitor);
    const refused = await fitdoc('save', `kvm:${guest.qmpPath}`, ...args);
    expect(refused).toMatchObject({ code: 1, out: expect.stringContaining('MACHINE_NOT_RUNNING') as string });
    const last = (await readHeartbeats(guest.serialPath)).at(-1)!;
    const saved = await fitdoc('save', `kvm:${guest.qmpPath}`, '--standing', ...args);
    expect(saved.code, saved.out).toBe(0);
    const [taken] = messages(saved).filter(({ message_type: type }) => type === 'checkpoint');
    expect(taken).toMatchObject({ kind: 'base', pause_ms: 0 });
    expect(Date.parse(String(taken!['captured_at']))).toBeGreaterThan(Date.now() - 600_000);
    expect(await beats(guest)).toBe(0);
    expect(await status()).toBe('postmigrate');

    const copy = await startGuest({ accel: 'kvm', name: 'copy', incoming: true });
    cleanups.push(() => copy.stop());
    const back = await fitdoc('restore', 'latest', ...args.slice(0, 2), '--to', `kvm:${copy.qmpPath}`);
    expect(back.code, back.out).toBe(0);
    expect(await beats(copy)).toBe(0);
    const { client } = await connectSocket(copy.qmpPath);
    cleanups.push(() => client.close());
    for (const each of [client, monitor]) await each.execute('cont');
    for (const { serialPath } of [copy, guest]) {
      const after = await waitForHeartbeats(serialPath, (found) =>
        found.some(({ beat }) => beat > last.beat + 2),
      );
      expect(after.every(({ intact }) => intact)).toBe(true);
    }
  });

  it('killed in the midst of it, it leaves the guest standing', async () => {
    const { guest, monitor, status } = await stopped();
    await stop(monitor);
    for (const afterMs of [300, 500, 700, 900]) {
      const child = start('save', `kvm:${guest.qmpPath}`, '--standing', '--store', await store(), '--init');
      await sleep(afterMs);
      child.kill('SIGKILL');
      await sleep(2000);
      expect(await beats(guest)).toBe(0);
      if ((await status()) !== 'paused') break;
    }
    await monitor.execute('cont');
    await waitForHeartbeats(guest.serialPath, (found) => found.every(({ intact }) => intact));
    expect(await beats(guest)).toBeGreaterThan(0);
  });
});

/** As an operator does, who looks: a stop that comes inside of a checkpoint's pause is lost by QEMU itself. */
async function stop(monitor: QmpClient): Promise<void> {
  let running = true;
  while (running) {
    await monitor.execute('stop');
    await sleep(200);
    ({ running } = await monitor.execute<{ running: boolean }>('query-status'));
  }
}

/** Beats in a second. */
async function beats(guest: RunningGuest): Promise<number> {
  await sleep(100);
  const before = (await readHeartbeats(guest.serialPath)).length;
  await sleep(1000);
  return (await readHeartbeats(guest.serialPath)).length - before;
}

function gather(child: ChildProcess) {
  let out = '';
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
  const count = (text: string): number => out.split(text).length - 1;
  const until = async (text: string, times = 1): Promise<void> => {
    await expect.poll(() => count(text), { timeout: 60_000, interval: 50 }).toBeGreaterThanOrEqual(times);
  };
  return { exit, count, until };
}
