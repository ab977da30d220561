import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  buildInitramfs,
  missingForQemu,
  otherQemu,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type RunningGuest,
} from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, messages, type Message } from './cli.js';

const qemu = gate('qemu', await missingForQemu());
const newest = await otherQemu('sid');
const OPTIONS: GuestOptions = {
  ...{ accel: 'tcg', guest: 'firmware', memoryKib: 64 * 1024 + 8, shim: true },
  ...{ machine: 'pc-i440fx-7.2', name: 'web', uuid: '11111111-2222-3333-4444-555555555555' },
};

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function boot(options: GuestOptions = OPTIONS): Promise<RunningGuest> {
  const guest = await startGuest(options);
  cleanups.push(() => guest.stop());
  await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 2);
  return guest;
}

async function place(): Promise<string> {
  const made = await folder();
  cleanups.push(made.remove);
  return made.path;
}

async function watch(location: string, store: string, ...more: string[]): Promise<void> {
  const args = ['--store', store, '--init', '--every', '300ms', '--count', '2', ...more];
  expect(await fitdoc('watch', location, ...args)).toMatchObject({ code: 0 });
}

async function endLater(pid: number): Promise<void> {
  cleanups.push(async () => {
    process.kill(pid, 'SIGKILL');
    while (existsSync(`/proc/${pid}`)) await sleep(20);
  });
  expect(await readFile(`/proc/${pid}/comm`, 'utf8')).toMatch(/^(qemu|ld-linux)/);
}

/** Its first beats since it was brought back are the original's, and all it printed is intact. */
async function proves(console_: string, original: RunningGuest): Promise<void> {
  const beats = await waitForHeartbeats(console_, (found) => found.length > 2, 120_000);
  expect(beats.every(({ intact }) => intact)).toBe(true);
  // A copy may run ahead of the original: only so far must that have come.
  const first = beats.slice(0, 3);
  const last = Math.max(...first.map(({ beat }) => beat));
  const reached = (found: readonly { readonly beat: number }[]): boolean =>
    found.some(({ beat }) => beat >= last);
  const truth = await waitForHeartbeats(original.serialPath, reached, 120_000);
  const sums = new Map(truth.map(({ name, beat, sum }) => [`${name} ${beat}`, sum]));
  for (const { name, beat, sum } of first) expect(sum).toBe(sums.get(`${name} ${beat}`));
}

function summary(outcome: { readonly code: number; readonly out: string; readonly err: string }): Message {
  const found = messages(outcome).find(({ message_type: type }) => type === 'summary');
  if (!found) throw new Error(`no summary: ${outcome.out}${outcome.err}`);
  return found;
}

const versions = [undefined, ...(newest ? [newest] : [])];

describe.skipIf(qemu.skip).each(versions)(
  qemu.title('a machine that is started from a checkpoint'),
  (other) => {
    const options: GuestOptions = { ...OPTIONS, ...(other && { qemu: other.program }) };

    it('runs as it was started before, changed where asked, and proves itself', async () => {
      const guest = await boot(options);
      const [store, dir] = [path.join(await place(), 'r'), path.join(await place(), 'm')];
      await watch(`kvm:${guest.qmpPath}`, store, '--set', 'mode=colo');
      const args = ['--store', store, '--start', '--dir', dir, '--json'];
      const started = summary(await fitdoc('restore', 'latest', ...args, '--', '-name', 'changed'));
      expect(started).toMatchObject({ state: 'running', to: `kvm:${dir}/machine/qmp.sock` });
      await endLater(started['pid'] as number);
      expect(started['command']).toEqual(expect.arrayContaining(['-name', 'changed', '-incoming', 'defer']));
      await proves(path.join(dir, 'machine', 'console.log'), guest);

      const scratch = path.join(await place(), 'boot');
      await mkdir(scratch);
      const boots = ['--store', store, '--boot', '--for', '2s', '--dir', scratch, '--json'];
      const proof = await fitdoc('verify', ...boots, '--expect-console', 'HB .* OK');
      expect(proof).toMatchObject({ code: 0 });
      expect(summary(proof)).toMatchObject({ verdict: 'runs', probes: [{ probe: 'console', right: true }] });
      const wrong = await fitdoc('verify', ...boots, '--expect-console', 'login:', '--within', '3s');
      expect(wrong).toMatchObject({ code: 20 });
      expect(summary(wrong)).toMatchObject({ verdict: 'probe-failed' });
      expect(await readdir(scratch)).toEqual([]);
      const info = messages(await fitdoc('info', 'latest', '--store', store, '--json'))[0];
      expect(info).toMatchObject({ boot: { verdict: 'probe-failed' } });
      expect((info!['command'] as string[]).join(' ')).toContain('-machine pc-i440fx-7.2');
      const broken = await fitdoc('verify', ...boots, '--', '-m', '32M');
      expect(broken).toMatchObject({ code: 20 });
      expect(summary(broken)).toMatchObject({ verdict: 'not-restored' });
      expect(await readdir(scratch)).toEqual([]);
    }, 300_000);
  },
);

describe.skipIf(qemu.skip)(qemu.title('fitdoc fork'), () => {
  it('starts ten of a guest that share its memory, and their chains are one tree', async () => {
    const guest = await boot();
    const [store, dir, cache] = [path.join(await place(), 'r'), path.join(await place(), 'f'), await place()];
    await watch(`kvm:${guest.qmpPath}`, store, '--set', 'mode=colo');
    const args = ['--store', store, '--count', '10', '--dir', dir, '--cache', cache, '--json'];
    const made = await fitdoc('fork', 'latest', ...args);
    const forks = messages(made).filter(({ message_type: type }) => type === 'fork');
    for (const { pid } of forks) await endLater(pid as number);
    expect(made.code, `${made.out}${made.err}`).toBe(0);
    expect(forks).toHaveLength(10);
    expect(new Set(forks.map(({ uuid }) => uuid)).size).toBe(10);
    const [file] = await readdir(cache);
    const before = await stat(path.join(cache, file!));
    for (const fork of forks) await proves((fork['consoles'] as string[])[0]!, guest);
    expect((await stat(path.join(cache, file!))).mtimeMs).toBe(before.mtimeMs);

    const [first, second] = forks as [Message, Message];
    for (const fork of [first, second]) await watch(String(fork['location']), store, '--set', 'mode=precopy');
    const tree = messages(await fitdoc('list', '--tree', '--store', store, '--json'))[0]!;
    const machines = tree['machines'] as { id: string; origin: { machine: string } | null }[];
    expect(machines.find(({ id }) => id === first['uuid'])).toMatchObject({
      origin: { machine: OPTIONS.uuid },
    });
    expect(machines.filter(({ origin }) => origin === null)).toHaveLength(1);
    const across = await fitdoc(
      'diff',
      `${OPTIONS.uuid}/latest`,
      `${String(first['uuid'])}/latest`,
      '--store',
      store,
    );
    expect(across).toMatchObject({ code: 0, out: expect.stringContaining('pages differ') as string });
    const back = path.join(await place(), 'b');
    const again = ['--machine', String(second['uuid']), '--store', store, '--start', '--dir', back, '--json'];
    const started = summary(await fitdoc('restore', 'latest', ...again));
    await endLater(started['pid'] as number);
    const own = (second['consoles'] as string[])[0]!;
    await proves(path.join(back, 'machine', 'console.log'), { ...guest, serialPath: own });
  }, 400_000);
});

describe.skipIf(qemu.skip)(qemu.title('fitdoc verify --boot'), () => {
  it('tells of a guest that panics', async () => {
    const script = '#!/bin/busybox sh\n(read word < /dev/ttyS1; echo c > /proc/sysrq-trigger) &\n';
    const initramfs = await buildInitramfs([{ path: 'extra', mode: 0o755, content: Buffer.from(script) }]);
    const socket = 'socket,id=word,path=word.sock,server=on,wait=off';
    const more = ['-chardev', socket, '-device', 'isa-serial,chardev=word,index=1,iobase=0x2f8,irq=3'];
    const guest = await boot({
      ...OPTIONS,
      guest: 'linux',
      memoryKib: 128 * 1024 + 8,
      initramfs,
      extraArgs: more,
    });
    const store = path.join(await place(), 'r');
    await watch(`kvm:${guest.qmpPath}`, store, '--set', 'mode=precopy');
    const scratch = await place();
    const proof = fitdoc('verify', '--store', store, '--boot', '--for', '100s', '--dir', scratch, '--json');
    let over = false;
    void proof.then(() => (over = true));
    while (!over) {
      const [made] = await readdir(scratch);
      const at = path.join(scratch, made ?? '', 'machine', 'word.sock');
      if (made !== undefined && existsSync(at)) say(at);
      await sleep(500);
    }
    expect(await proof).toMatchObject({ code: 20 });
    expect(summary(await proof)).toMatchObject({
      verdict: 'panicked',
      about: expect.stringContaining('Kernel panic') as string,
    });
    expect(await readdir(scratch)).toEqual([]);
    expect((await readHeartbeats(guest.serialPath)).every(({ intact }) => intact)).toBe(true);
  }, 300_000);
});

/** A line on the guest's second serial line; nobody may listen yet, or any more. */
function say(at: string): void {
  const socket = connect({ path: at });
  socket.on('error', () => socket.destroy());
  socket.end('now\n');
}
