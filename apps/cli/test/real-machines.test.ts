import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForQemu, startGuest, type GuestOptions } from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder } from './cli.js';

const qemu = gate('qemu', await missingForQemu());
// Only ours are asked: other suites have guests on this host.
const prefix = `fitdoc-${randomUUID()}`;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function boot(name: string, options: Partial<GuestOptions> = {}): ReturnType<typeof startGuest> {
  const bare = { accel: 'tcg', guest: 'bare', memoryKib: 16 * 1024, shim: false } as const;
  const guest = await startGuest({ ...bare, name: `${prefix}-${name}`, ...options });
  cleanups.push(() => guest.stop());
  return guest;
}

interface Client {
  ask(command: string): Promise<Record<string, unknown>>;
}

/** A client of QMP that stays. */
async function client(qmpPath: string): Promise<Client> {
  const socket: Socket = connect(qmpPath);
  // Its QEMU may end first.
  socket.on('error', () => undefined);
  cleanups.push(() => socket.destroy());
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const answer = async (): Promise<Record<string, unknown>> => {
    for (;;) {
      const next: IteratorResult<string, undefined> = await lines.next();
      if (next.done === true) throw new Error('QEMU has ended the connection');
      const message = JSON.parse(next.value) as Record<string, unknown>;
      if (!('event' in message)) return message;
    }
  };
  await answer();
  const ask = (execute: string): Promise<Record<string, unknown>> => {
    socket.write(`${JSON.stringify({ execute })}\n`);
    return answer();
  };
  await ask('qmp_capabilities');
  return { ask };
}

interface Listed {
  readonly name: string;
  readonly location: string | null;
  readonly line: string | null;
}

async function machines(...names: string[]): Promise<Map<string, Listed>> {
  const outcome = await fitdoc('machines', ...names.map((name) => `${prefix}-${name}`), '--json');
  expect(outcome).toMatchObject({ code: 0 });
  const { machines: found } = JSON.parse(outcome.out) as { machines: Listed[] };
  return new Map(found.map((each) => [each.name.slice(prefix.length + 1), each]));
}

describe.skipIf(qemu.skip)(qemu.title('fitdoc machines'), () => {
  it("lists QEMU's guests, what a checkpoint of each takes, and why it is refused", async () => {
    const made = await folder();
    cleanups.push(made.remove);
    await mkdir(path.join(made.path, 'fat'));
    const blocker = ['-drive', `file=fat:rw:${path.join(made.path, 'fat')},format=raw,if=ide`];
    const runs = await boot('runs', { uuid: '11111111-2222-3333-4444-555555555555' });
    await boot('paused', { extraArgs: ['-S'] });
    const waits = await boot('waits', { incoming: true });
    await boot('blocked', { extraArgs: blocker });
    const held = await boot('held');
    const holder = await client(held.qmpPath);

    const found = await machines('runs', 'paused', 'waits', 'blocked', 'held');
    expect(found.get('runs')).toMatchObject({
      scheme: 'kvm',
      id: '11111111-2222-3333-4444-555555555555',
      location: `kvm:${runs.qmpPath}`,
      state: 'running',
      memory_bytes: 16 * 2 ** 20,
      disks: [],
      refused: null,
      line: `fitdoc watch kvm:${runs.qmpPath} --store DIRECTORY`,
      ways: [{ name: 'colo' }, { name: 'precopy', increments: false }],
    });
    expect(found.get('paused')).toMatchObject({
      state: 'prelaunch',
      refused: { code: 'MACHINE_NOT_RUNNING' },
      line: null,
    });
    expect(found.get('waits')).toMatchObject({
      location: `kvm:${waits.qmpPath}`,
      state: 'inmigrate',
      refused: { code: 'MACHINE_NOT_RUNNING' },
    });
    expect(found.get('blocked')).toMatchObject({
      state: 'running',
      refused: { code: 'CAPABILITY_MISSING', message: expect.stringContaining('vvfat') as string },
    });
    // Nobody asked it, and whoever has it was not disturbed.
    expect(found.get('held')).toMatchObject({
      state: null,
      memory_bytes: 16 * 2 ** 20,
      refused: { code: 'MACHINE_BUSY' },
      line: null,
    });
    expect(await holder.ask('query-status')).toMatchObject({ return: { running: true } });
    // Its socket was let go of.
    expect(await (await client(runs.qmpPath)).ask('query-status')).toMatchObject({
      return: { running: true },
    });
  });

  it('takes the socket that is free of several, and one by a path of its own folder', async () => {
    const second = [
      '-chardev',
      'socket,id=two,path=two.sock,server=on,wait=off',
      '-mon',
      'chardev=two,mode=control',
    ];
    const guest = await boot('several', { extraArgs: second });
    await client(guest.qmpPath);
    const found = (await machines('several')).get('several');
    expect(found).toMatchObject({ state: 'running', location: `kvm:${guest.directory}/two.sock` });
  });

  it('speaks to people', async () => {
    const guest = await boot('told');
    const { out, code } = await fitdoc('machines', `${prefix}-told`);
    expect(code).toBe(0);
    expect(out).toContain(`${prefix}-told (kvm): running, 16.0 MiB, no disks`);
    expect(out).toContain('by precopy: all of the memory each time');
    expect(out).toContain(`\n  fitdoc watch kvm:${guest.qmpPath} --store DIRECTORY\n`);
    expect((await fitdoc('machines', `${prefix}-none`)).out).toContain('no virtual machine');
  });
});
