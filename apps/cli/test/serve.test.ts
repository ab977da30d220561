import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { newKeyText } from '@fitdoc/sealing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForNbd } from '../../../tools/lab/src/nbd/index.js';
import { missingForQemu } from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder, start, type Message } from './cli.js';

const MACHINE = 'mock:served?memory=16M&workload=idle&disks=2&disk-size=8M';
const tools = gate('nbd', await missingForNbd());
const qemu = gate('qemu', (await missingForQemu()) ?? (await missingForNbd()));

let place: Awaited<ReturnType<typeof folder>>;
let store: string[];
const cleanups: (() => Promise<unknown>)[] = [];

const run = async (command: string, ...args: string[]): Promise<string> =>
  (await promisify(execFile)(command, args)).stdout;

beforeAll(async () => {
  place = await folder();
  const key = path.join(place.path, 'key');
  await writeFile(key, newKeyText(), { mode: 0o600 });
  store = ['--store', path.join(place.path, 'checkpoints'), '--key-file', key];
  expect(await fitdoc('init', ...store, '--encrypt')).toMatchObject({ code: 0 });
  const watch = ['--every', '20ms', '--count', '5', '--disks', 'capture'];
  expect(await fitdoc('watch', MACHINE, ...store, ...watch)).toMatchObject({ code: 0 });
  // What is served is then read from merged checkpoints, too.
  expect(await fitdoc('compact', 'latest~3', 'latest~1', ...store)).toMatchObject({
    code: 0,
  });
  for (const name of ['disk0', 'disk1'])
    await fitdoc('export', 'latest', ...store, '--disk', name, '-o', path.join(place.path, `${name}.raw`));
});
afterAll(() => place.remove());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The command while it serves: what it printed so far, and what ends it. */
async function serving(...args: string[]) {
  const child = start('serve', 'latest', ...store, '--json', ...args);
  const said: Message[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => said.push(JSON.parse(line) as Message));
  const exited = once(child, 'exit') as Promise<[number]>;
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await expect.poll(() => said[0], { timeout: 60_000 }).toMatchObject({ message_type: 'serving' });
  const end = async (): Promise<number> => {
    child.kill('SIGINT');
    return (await exited)[0];
  };
  return { said, end, uris: (said[0]!['disks'] as { uri: string }[]).map(({ uri }) => uri) };
}

describe.skipIf(tools.skip)(tools.title('disks of an encrypted, merged repository, served'), () => {
  it('are what export writes, for qemu-img and nbdcopy, until Ctrl-C ends it', async () => {
    const socket = path.join(place.path, 'nbd.sock');
    const { said, end, uris } = await serving('--nbd', `unix:${socket}`);
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    for (const [index, uri] of uris.entries()) {
      const raw = path.join(place.path, `disk${index}.raw`);
      await run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', raw, uri);
      const copy = path.join(place.path, 'copy.raw');
      await run('nbdcopy', uri, copy);
      await run('cmp', raw, copy);
    }
    await expect
      .poll(() => said.filter(({ message_type: type }) => type === 'closed').length)
      .toBeGreaterThan(3);
    expect(said.find((each) => each['disk'] === 'disk1')).toMatchObject({ message_type: 'opened' });
    // Nobody takes away what is read here, which the lease says.
    const leases = async (): Promise<string[]> =>
      (await readdir(path.join(store[1]!, 'locks'), { recursive: true })).filter((name) =>
        name.endsWith('.json'),
      );
    expect(await leases()).toHaveLength(1);
    expect(await end()).toBe(0);
    expect(said.at(-1)).toMatchObject({ message_type: 'summary' });
    await expect(stat(socket)).rejects.toThrow();
    expect(await leases()).toEqual([]);
  });

  it('are served at a port of this machine, and only those that are named', async () => {
    const { uris, end } = await serving('--nbd', 'tcp:0', '--disk', 'disk1');
    expect(uris).toEqual([expect.stringMatching(/^nbd:\/\/127\.0\.0\.1:[1-9]\d*\/disk1$/)]);
    await run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', path.join(place.path, 'disk1.raw'), uris[0]!);
    expect(await end()).toBe(0);
  });

  it('take the place of a server that was killed, and nobody else’s', async () => {
    const socket = path.join(place.path, 'stale.sock');
    const dead = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(socket)})`,
    ]);
    await expect
      .poll(
        () =>
          stat(socket).then(
            () => true,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true);
    dead.kill('SIGKILL');
    await once(dead, 'exit');
    const { end } = await serving('--nbd', `unix:${socket}`);
    const second = await fitdoc('serve', 'latest', ...store, '--nbd', `unix:${socket}`);
    expect(second).toMatchObject({ code: 2, err: expect.stringContaining('Somebody listens') as string });
    await end();
    const file = path.join(place.path, 'precious');
    await writeFile(file, 'precious');
    const third = await fitdoc('serve', 'latest', ...store, '--nbd', `unix:${file}`);
    expect(third).toMatchObject({ code: 2, err: expect.stringContaining('is no socket') as string });
  });
});

it('what cannot be served is said before anything is', async () => {
  const wrong = async (...args: string[]): Promise<string> => {
    const outcome = await fitdoc('serve', 'latest', ...store, ...args);
    expect(outcome.code).toBe(2);
    return outcome.err;
  };
  expect(await wrong('--nbd', 'here')).toContain('unix:PATH');
  expect(await wrong('--nbd', 'tcp:99999')).toContain('tcp:PORT');
  expect(await wrong('--nbd', `unix:${'x'.repeat(200)}`)).toContain('107 bytes');
  expect(await wrong('--nbd', `unix:${place.path}/none/nbd.sock`)).toContain('Nothing can be served there');
  expect(await wrong('--nbd', 'tcp:0', '--disk', 'vda')).toContain('It holds: disk0, disk1');
  expect(await wrong('--nbd', 'tcp:0', '--group', 'root')).toContain('unix socket');
  const busy = createServer().listen(0, '127.0.0.1');
  await once(busy, 'listening');
  const { port } = busy.address() as { port: number };
  expect(await wrong('--nbd', `tcp:${port}`)).toContain('EADDRINUSE');
  busy.close();
});

describe.skipIf(qemu.skip)(qemu.title('a machine on a served disk'), () => {
  it('runs on an overlay at once, which stands alone when its QEMU has copied the rest', async () => {
    const { uris, end } = await serving('--nbd', `unix:${path.join(place.path, 'overlay.sock')}`);
    const overlay = path.join(place.path, 'overlay.qcow2');
    await run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', uris[0]!, overlay);
    const qmp = path.join(place.path, 'qmp.sock');
    const guest = spawn(
      'qemu-system-x86_64',
      [
        ...['-nodefaults', '-display', 'none', '-accel', 'tcg', '-m', '64'],
        ...['-qmp', `unix:${qmp},server=on,wait=off`],
        ...['-drive', `file=${overlay},format=qcow2,if=virtio,id=vda`],
      ],
      { stdio: 'ignore' },
    );
    const gone = once(guest, 'exit');
    cleanups.push(async () => {
      guest.kill('SIGKILL');
      await gone;
    });
    await expect
      .poll(
        () =>
          stat(qmp).then(
            () => true,
            () => false,
          ),
        { timeout: 60_000 },
      )
      .toBe(true);
    const control = connect(qmp);
    // QEMU may end before it has read all that it was told.
    control.on('error', () => undefined);
    const answers: string[] = [];
    const lines = createInterface({ input: control });
    lines.on('error', () => undefined).on('line', (line) => answers.push(line));
    const send = (command: object): boolean => control.write(`${JSON.stringify(command)}\n`);
    send({ execute: 'qmp_capabilities' });
    send({ execute: 'block-stream', arguments: { 'job-id': 'alone', device: 'vda' } });
    await expect.poll(() => answers.join('\n'), { timeout: 120_000 }).toContain('BLOCK_JOB_COMPLETED');
    expect(answers.find((line) => line.includes('BLOCK_JOB_COMPLETED'))).not.toContain('"error"');
    expect(await end()).toBe(0);
    send({ execute: 'quit' });
    await gone;
    expect(await run('qemu-img', 'info', overlay)).not.toContain('backing file');
    await run('qemu-img', 'compare', '-F', 'raw', overlay, path.join(place.path, 'disk0.raw'));
  });
});
