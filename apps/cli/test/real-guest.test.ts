import { execFileSync, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  missingForKvm,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type RunningGuest,
} from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, messages, start } from './cli.js';

const kvm = gate('kvm', await missingForKvm());
const OPTIONS: GuestOptions = { accel: 'kvm', machine: 'pc-i440fx-7.2', name: 'e2e' };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function boot(options: GuestOptions = OPTIONS): Promise<RunningGuest> {
  const guest = await startGuest(options);
  cleanups.push(() => guest.stop());
  if (!options.incoming) await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 2);
  return guest;
}

async function temporary(): Promise<string> {
  const made = await folder();
  cleanups.push(made.remove);
  return made.path;
}

/** Whether the guest beats on from now, with its memory as it left it. */
async function beatsOn(guest: RunningGuest): Promise<boolean> {
  const before = (await readHeartbeats(guest.serialPath)).length;
  const beats = await waitForHeartbeats(guest.serialPath, (now) => now.length > before + 2);
  return beats.every(({ intact }) => intact);
}

/** The first sign of life after a restore must be the original's at that beat. */
async function provesItself(restored: RunningGuest, original: RunningGuest): Promise<boolean> {
  const [first] = await waitForHeartbeats(restored.serialPath, (beats) => beats.length > 0);
  const same = (await readHeartbeats(original.serialPath)).find(
    ({ name, beat }) => name === first?.name && beat === first.beat,
  );
  return first?.intact === true && first.sum === same?.sum;
}

async function lineWith(child: ChildProcess, text: string): Promise<void> {
  let out = '';
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes(text)) resolve();
    });
    child.on('close', () => resolve());
  });
}

describe.skipIf(kvm.skip)(kvm.title('fitdoc on a real QEMU guest on KVM'), () => {
  it('takes twenty checkpoints and brings five of them back', async () => {
    const guest = await boot();
    const store = path.join(await temporary(), 'r');
    const args = ['--store', store, '--init', '--every', '100ms', '--count', '20', '--json'];
    const taken = messages(await fitdoc('watch', `kvm:${guest.qmpPath}`, ...args)).filter(
      ({ message_type: type }) => type === 'checkpoint',
    );
    expect(taken).toHaveLength(20);
    expect(await beatsOn(guest)).toBe(true);
    for (const index of [0, 4, 9, 14, 19]) {
      const target = await boot({ ...OPTIONS, incoming: true });
      const id = String(taken[index]?.['id']);
      const restored = await fitdoc('restore', id, '--store', store, '--to', `kvm:${target.qmpPath}`);
      expect(restored).toMatchObject({ code: 0 });
      expect(await provesItself(target, guest)).toBe(true);
      await target.stop();
    }
    expect(await fitdoc('verify', '--read-data', '--store', store)).toMatchObject({ code: 0 });
  });

  it('killed at any moment, leaves the guest running and the chain whole, and goes on', async () => {
    const guest = await boot();
    const store = path.join(await temporary(), 'r');
    await fitdoc('init', '--store', store);
    for (let round = 0; round < 4; round++) {
      const child = start('watch', `kvm:${guest.qmpPath}`, '--store', store, '--every', '0ms', '--json');
      await lineWith(child, '"message_type":"checkpoint"');
      // A different moment of the next checkpoints each time.
      await new Promise((resolve) => setTimeout(resolve, 37 * round));
      child.kill('SIGKILL');
      expect(await beatsOn(guest)).toBe(true);
    }
    const last = messages(await fitdoc('save', `kvm:${guest.qmpPath}`, '--store', store, '--json'));
    expect(last.find(({ message_type: type }) => type === 'checkpoint')).toMatchObject({ kind: 'increment' });
    expect(await fitdoc('verify', '--read-data', '--store', store)).toMatchObject({ code: 0 });
    const target = await boot({ ...OPTIONS, incoming: true });
    await fitdoc('restore', 'latest', '--store', store, '--to', `kvm:${target.qmpPath}`);
    expect(await provesItself(target, guest)).toBe(true);
  });

  it('with a full disk, says so, leaves the guest running, and goes on when there is room', async () => {
    const guest = await boot();
    const disk = path.join(await temporary(), 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160k', 'tmpfs', disk]);
    cleanups.push(async () => execFileSync('umount', [disk]));
    const store = path.join(disk, 'r');
    const args = ['watch', `kvm:${guest.qmpPath}`, '--store', store, '--init', '--every', '50ms', '--json'];
    const child = start(...args);
    await lineWith(child, 'STORE_FULL');
    expect(await beatsOn(guest)).toBe(true);
    execFileSync('mount', ['-o', 'remount,size=8m', disk]);
    await lineWith(child, '"message_type":"checkpoint"');
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(3);
    expect(await beatsOn(guest)).toBe(true);
    expect(await fitdoc('verify', '--read-data', '--store', store)).toMatchObject({ code: 0 });
    const target = await boot({ ...OPTIONS, incoming: true });
    await fitdoc('restore', 'latest', '--store', store, '--to', `kvm:${target.qmpPath}`);
    expect(await provesItself(target, guest)).toBe(true);
  });

  it('refuses a guest with a writable disk, unless told that the user keeps it', async () => {
    const image = path.join(await temporary(), 'disk.img');
    execFileSync('truncate', ['-s', '1M', image]);
    const disk = ['-drive', `file=${image},format=raw,if=virtio,id=d0`];
    const guest = await boot({ ...OPTIONS, extraArgs: disk });
    const store = path.join(await temporary(), 'r');
    const refused = await fitdoc('save', `kvm:${guest.qmpPath}`, '--store', store, '--init');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('--disks external');
    const taken = await fitdoc('save', `kvm:${guest.qmpPath}`, '--store', store, '--disks', 'external');
    expect(taken).toMatchObject({ code: 0 });
    expect((await fitdoc('info', 'latest', '--store', store)).out).toContain(image);
  });

  it('exports a stream that QEMU starts from, and the memory that the guest had', async () => {
    const guest = await boot();
    const place = await temporary();
    const store = path.join(place, 'r');
    await fitdoc(
      'watch',
      `kvm:${guest.qmpPath}`,
      '--store',
      store,
      '--init',
      '--every',
      '50ms',
      '--count',
      '3',
    );
    const stream = path.join(place, 'stream');
    expect(
      await fitdoc('export', 'latest', '--store', store, '--format', 'qemu', '-o', stream),
    ).toMatchObject({ code: 0 });
    const target = await startGuest({ ...OPTIONS, extraArgs: ['-incoming', `exec:cat ${stream}`] });
    cleanups.push(() => target.stop());
    expect(await provesItself(target, guest)).toBe(true);
  });
});
