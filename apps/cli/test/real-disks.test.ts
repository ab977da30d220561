import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForNbd } from '../../../tools/lab/src/nbd/index.js';
import {
  missingForKvm,
  missingForQemu,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
} from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, messages, start, type Message } from './cli.js';

const qemu = gate('qemu', (await missingForQemu()) ?? (await missingForNbd()));
const accel = (await missingForKvm()) === undefined ? 'kvm' : 'tcg';

const MIB = 2 ** 20;
let place: Awaited<ReturnType<typeof folder>>;
let store: string[];
let content: Buffer;
/** What was said of three checkpoints, by a command each, before the last of which all was forgotten. */
let [first, again, forgotten]: Message[] = [];
const cleanups: (() => Promise<unknown>)[] = [];

/** A guest with two disks, or one that waits to become it. */
async function boot(images: readonly string[], format: string, more: Partial<GuestOptions> = {}) {
  const [vda, vdb] = images as [string, string];
  const extraArgs = [
    ...['-drive', `file=${vda},format=${format},if=none,id=vda`, '-device', 'virtio-blk-pci,drive=vda'],
    ...['-drive', `file=${vdb},format=raw,if=none,id=vdb`, '-device', 'ide-hd,drive=vdb'],
  ];
  const bare = { guest: 'firmware', memoryKib: 64 * 1024 + 8, cpus: 1, machine: 'pc' } as const;
  const guest = await startGuest({ ...bare, accel, ...more, extraArgs });
  cleanups.push(() => guest.stop());
  return guest;
}

/** Empty images of the disks' sizes. */
async function blanks(name: string, sizes: readonly number[] = [64 * MIB, MIB]): Promise<string[]> {
  const files = ['vda', 'vdb'].map((disk) => path.join(place.path, `${name}-${disk}.raw`));
  for (const [index, file] of files.entries()) {
    await writeFile(file, '');
    await truncate(file, sizes[index]);
  }
  return files;
}

beforeAll(async () => {
  place = await folder();
  if (qemu.skip) return;
  store = ['--store', path.join(place.path, 'r')];
  const images = await blanks('original');
  const disk = await open(images[0]!, 'r+');
  for (let block = 0; block < 500; block++)
    await disk.write(Buffer.alloc(4096, `block ${block}, `), 0, 4096, block * 65_536);
  await disk.close();
  content = await readFile(images[0]!);
  const guest = await boot(images, 'raw');
  await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 1);
  const colo = accel === 'tcg' ? ['--set', 'mode=colo'] : [];
  const machine = `kvm:${guest.qmpPath}`;
  const save = async (...more: string[]): Promise<Message> => {
    const saved = await fitdoc('save', machine, ...store, '--disks', 'capture', ...colo, ...more, '--json');
    expect(saved).toMatchObject({ code: 0 });
    return messages(saved).find(({ message_type }) => message_type === 'checkpoint')!;
  };
  first = await save('--init');
  again = await save();
  expect(await fitdoc('release', machine, '--forget')).toMatchObject({ code: 0 });
  forgotten = await save();
  await guest.stop();
});
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await place.remove();
});

describe.skipIf(qemu.skip)(qemu.title('a machine with its disks'), () => {
  it('is gone on with by the next command, unless all was forgotten', () => {
    const read = (said: Message | undefined): unknown => said?.['disks'];
    expect(read(first)).toMatchObject([{ name: 'vda', changed_blocks: 500 }, { name: 'vdb' }]);
    const nothing = ['vda', 'vdb'].map((name) => ({ name, read_bytes: 0, changed_blocks: 0 }));
    expect(read(again)).toEqual(nothing);
    expect(read(forgotten)).toMatchObject([{ name: 'vda', changed_blocks: 0 }, { name: 'vdb' }]);
    expect(read(forgotten)).not.toMatchObject([{ read_bytes: 0 }, {}]);
  });

  it('is brought back: disks are written, a QEMU is waited for, and the guest goes on', async () => {
    const [vda, vdb] = ['vda', 'vdb'].map((disk) => path.join(place.path, 'new', `${disk}.raw`));
    const socket = path.join(place.path, 'link.qmp');
    const disks = [
      '--disks',
      path.join(place.path, 'new'),
      '--disk',
      `vda=${place.path}/new/vda.raw,format=qcow2`,
    ];
    const restoring = start('restore', 'latest', ...store, '--to', `kvm:${socket}`, ...disks, '--json');
    const said: Message[] = [];
    createInterface({ input: restoring.stdout! }).on('line', (line) =>
      said.push(JSON.parse(line) as Message),
    );
    const exited = once(restoring, 'exit');
    await expect
      .poll(() => said.at(-1), { timeout: 120_000 })
      .toMatchObject({ message_type: 'waiting', socket });
    // Killed now, and run again: what is written is not written again.
    restoring.kill('SIGKILL');
    await exited;
    const { mtimeMs } = await stat(vda!);
    const target = await boot([vda!, vdb!], 'qcow2', { incoming: true });
    const again = await fitdoc(
      'restore',
      'latest',
      ...store,
      '--to',
      `kvm:${target.qmpPath}`,
      ...disks,
      '--json',
    );
    expect(again).toMatchObject({ code: 0 });
    const [written] = messages(again);
    expect(written).toMatchObject({ message_type: 'disks', disks: [{ before: true }, { before: true }] });
    await waitForHeartbeats(target.serialPath, (beats) => beats.length > 1);
    await target.stop();
    expect((await stat(vda!)).mtimeMs).toBeGreaterThanOrEqual(mtimeMs);
    expect((await stat(vdb!)).size).toBe(MIB);
    const raw = path.join(place.path, 'back.raw');
    await promisify(execFile)('qemu-img', ['convert', '-O', 'raw', vda!, raw]);
    expect(Buffer.compare(await readFile(raw), content)).toBe(0);
    // It has run: from here on the disk is nobody's to write over.
    const third = await fitdoc('restore', 'latest', ...store, '--to', `kvm:${socket}`, ...disks);
    expect(third).toMatchObject({ code: 2, err: expect.stringContaining('is there') as string });
  });

  it('is written into what a waiting QEMU has open, whatever that held', async () => {
    const images = await blanks('in-place');
    await writeFile(images[0]!, Buffer.alloc(64 * MIB, 'old'));
    const target = await boot(images, 'raw', { incoming: true });
    const disks = images.flatMap((file, index) => ['--disk', `vd${'ab'[index]}=${file}`]);
    const refused = await fitdoc('restore', 'latest', ...store, '--to', `kvm:${target.qmpPath}`, ...disks);
    expect(refused.code).toBe(2);
    expect((await readFile(images[0]!)).subarray(0, 3).toString()).toBe('old');
    const to = ['--to', `kvm:${target.qmpPath}`, ...disks, '--in-place'];
    expect(await fitdoc('restore', 'latest', ...store, ...to)).toMatchObject({ code: 0 });
    await waitForHeartbeats(target.serialPath, (beats) => beats.length > 1);
    await target.stop();
    expect(Buffer.compare(await readFile(images[0]!), content)).toBe(0);
  });

  it('is not loaded into a QEMU on other disks', async () => {
    const other = await blanks('other', [64 * MIB, 2 * MIB]);
    const target = await boot(other, 'raw', { incoming: true });
    const to = ['--to', `kvm:${target.qmpPath}`, '--disks', path.join(place.path, 'elsewhere')];
    const refused = await fitdoc('restore', 'latest', ...store, ...to);
    expect(refused.code).toBe(21);
    expect(refused.err).toContain('disk vdb: 1048576 bytes wanted, 2097152 there');
    expect(refused.err).toMatch(
      /disk vda was written to .*elsewhere\/vda.raw, and QEMU has .*other-vda.raw open/,
    );
    // A file that somebody has written into since is not taken for what was written.
    const vda = path.join(place.path, 'elsewhere', 'vda.raw');
    await utimes(vda, new Date(0), new Date(0));
    expect((await fitdoc('restore', 'latest', ...store, ...to)).err).toContain(vda);
  });
});

describe.skipIf(qemu.skip)(qemu.title('a disk'), () => {
  it('is exported as qcow2, whole or not at all', async () => {
    const file = path.join(place.path, 'exported.qcow2');
    const asQcow2 = ['export', 'latest', ...store, '--disk', 'vda', '--format', 'qcow2', '-o', file];
    expect(await fitdoc(...asQcow2)).toMatchObject({ code: 0, err: '' });
    const raw = path.join(place.path, 'exported.raw');
    await promisify(execFile)('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', file, raw]);
    expect(Buffer.compare(await readFile(raw), content)).toBe(0);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await fitdoc(...asQcow2)).code).toBe(2);
    const memory = ['export', 'latest', ...store, '--format', 'qcow2', '-o', `${file}-2`];
    expect((await fitdoc(...memory)).err).toContain('--disk');
  });
});
