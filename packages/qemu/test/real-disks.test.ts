import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiskOracle, hypervisorSuite, type HypervisorPlace } from '@fitdoc/compliance/hypervisor';
import { FitdocError, type Harvest, type Machine } from '@fitdoc/interface';
import { afterAll, describe, expect, it, test, vi } from 'vitest';
import { findDisks } from '../src/disks/found.js';
import { sweepDisks } from '../src/disks/sweep.js';
import { hypervisor } from './support/hypervisor.js';
import { hold } from './support/holder.js';
import { OracleMemory } from './support/oracle.js';
import {
  bareMetal,
  beatsMore,
  boot,
  isRunning,
  proveTwin,
  settings,
  stopGuests,
  twin,
  withoutQemu,
  type TestGuest,
} from './support/real.js';

const directories: string[] = [];
afterAll(async () => {
  await stopGuests();
  for (const made of directories) await rm(made, { recursive: true });
});

const SIZE = 8 << 20;

interface DiskGuest extends TestGuest {
  readonly images: Readonly<Record<string, string>>;
}

/** A guest with writable disks of several kinds, which the test writes to as the guest would. */
async function bootWithDisks(...kinds: readonly string[]): Promise<DiskGuest> {
  const images: Record<string, string> = {};
  const args: string[] = [];
  for (const kind of kinds) {
    const image = join(await directory(), `${kind}.img`);
    await writeFile(image, '');
    await truncate(image, SIZE);
    images[kind] = image;
    args.push('-drive', `file=${image},format=raw,if=none,id=${kind}`);
    if (kind.startsWith('scsi')) args.push('-device', 'virtio-scsi-pci');
    args.push('-device', `${DEVICES[kind] ?? 'virtio-blk-pci'},drive=${kind}`);
  }
  return { ...(await boot(bareMetal({ name: `disks-${kinds.length}`, extraArgs: args }))), images };
}

const DEVICES: Readonly<Record<string, string>> = { scsi: 'scsi-hd', ide: 'ide-hd' };

/** Writes through the disk's front end, past whatever stands before its content: as the guest's driver would. */
async function write(
  guest: DiskGuest,
  disk: string,
  offset: number,
  length: number,
  pattern: number,
): Promise<void> {
  const command = `qemu-io ${disk} "write -P ${pattern} ${offset} ${length}"`;
  const said = await guest.monitor.execute<string>('human-monitor-command', { 'command-line': command });
  if (/fail|error/i.test(said)) throw new Error(said);
}

async function attach(guest: DiskGuest, more: object = {}): Promise<Machine> {
  return hypervisor.attach(guest.qmpPath, { disks: 'capture', config: settings(guest), ...more });
}

/** What of ours is in QEMU's block layer, but bitmaps, which stay. */
async function leftovers(guest: DiskGuest): Promise<string[]> {
  return (await ours(guest)).filter((name) => !name.startsWith('fitdoc-bm-'));
}

async function ours(guest: DiskGuest): Promise<string[]> {
  const [nodes, exports] = await Promise.all([
    guest.monitor.execute<Record<string, unknown>[]>('query-named-block-nodes', { flat: true }),
    guest.monitor.execute<{ id: string }[]>('query-block-exports'),
  ]);
  const text = JSON.stringify([nodes, exports]);
  return [...new Set(text.match(/(?<=")fitdoc-[^"]*(?=")/g) ?? [])];
}

async function sameAsImage(guest: DiskGuest, disks: DiskOracle, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const content = await readFile(guest.images[name]!);
    if (Buffer.compare(content, disks.disks.get(name)!.read(0, content.length)) !== 0) return false;
  }
  return true;
}

describe.skipIf(withoutQemu)('disks of a real QEMU', () => {
  let shared: DiskGuest | undefined;
  let round = 0;
  hypervisorSuite(
    {
      describe,
      // The rest of the suite is run on a guest without disks, elsewhere.
      it: (name, body, timeoutMs) => {
        if (/disk/.test(name) || /since the last commit/.test(name)) it(name, body, timeoutMs);
      },
    },
    {
      name: 'kvm with disks',
      rounds: 3,
      timeoutMs: 60_000,
      async open(): Promise<HypervisorPlace> {
        const guest = (shared ??= await bootWithDisks('virtio', 'ide'));
        return {
          hypervisor,
          location: guest.qmpPath,
          attach: { disks: 'capture', config: settings(guest) },
          isRunning: () => isRunning(guest),
          mutate: async () => {
            round++;
            for (const disk of ['virtio', 'ide'])
              await write(guest, disk, ((round * 37) % 100) * 8192 + 512, 5120, (round % 250) + 1);
          },
          readDisk: async (name, offset, length) => {
            const file = await open(guest.images[name]!);
            const bytes = new Uint8Array(length);
            await file.read(bytes, 0, length, offset);
            await file.close();
            return bytes;
          },
        };
      },
    },
  );

  test('are those of the moment, though the guest writes on before they are read', async () => {
    const guest = await bootWithDisks('virtio', 'ide', 'scsi');
    const names = ['virtio', 'ide', 'scsi'];
    const machine = await attach(guest);
    expect(machine.supports.disks).toBe(true);
    const memory = new OracleMemory(machine.info);
    const disks = new DiskOracle();
    for (let k = 1; k <= 6; k++) {
      for (const name of names) await write(guest, name, k * 65_536, 12_288, k);
      const harvest = await machine.capture(memory);
      const before = await Promise.all(names.map((name) => readFile(guest.images[name]!)));
      for (const name of names) await write(guest, name, k * 65_536 + 4096, 131_072, 200 + k);
      await disks.apply(harvest);
      names.forEach((name, index) => {
        const read = disks.disks.get(name)!.read(0, SIZE);
        expect(Buffer.compare(read, before[index]!)).toBe(0);
      });
      if (k % 3 === 0) await harvest.rollback();
      else await harvest.commit();
      expect(harvest.disks!.map(({ kind }) => kind)).toEqual(
        names.map(() => (k === 1 ? 'full' : 'increment')),
      );
    }
    const last = await machine.capture(memory);
    await keep(last, disks);
    expect(await sameAsImage(guest, disks, names)).toBe(true);
    await machine.detach();
    expect(await leftovers(guest)).toEqual([]);
    await beatsMore(guest);
    await guest.stop();
  });

  test('that are left unread, or lost, come again, and the guest runs on', async () => {
    const guest = await bootWithDisks('virtio');
    const machine = await attach(guest);
    const memory = new OracleMemory(machine.info);
    const disks = new DiskOracle();
    const take = async (): Promise<Harvest> => machine.capture(memory);
    await write(guest, 'virtio', 4096, 4096, 1);
    await (await take()).rollback();
    await keep(await take(), disks);
    await write(guest, 'virtio', 8192, 4096, 2);
    const lost = await take();
    for await (const _ of lost.disks![0]!.read()) break;
    await lost.rollback();
    await write(guest, 'virtio', 16_384, 4096, 3);
    const next = await take();
    expect(next.disks![0]!.kind).toBe('increment');
    await keep(next, disks);
    expect(await sameAsImage(guest, disks, ['virtio'])).toBe(true);
    await machine.detach();
    await beatsMore(guest);
    await guest.stop();
  });

  test('are brought in full, which is said, after a snapshot by others', async () => {
    const guest = await bootWithDisks('virtio');
    const machine = await attach(guest);
    const memory = new OracleMemory(machine.info);
    const disks = new DiskOracle();
    await keep(await machine.capture(memory), disks);
    await write(guest, 'virtio', 4096, 8192, 1);
    const overlay = join(await directory(), 'overlay');
    const theirs = { device: 'virtio', 'snapshot-file': overlay, format: 'qcow2' };
    await guest.monitor.execute('blockdev-snapshot-sync', theirs);
    await write(guest, 'virtio', 8192, 8192, 2);
    const harvest = await machine.capture(memory);
    expect(harvest.disks).toMatchObject([{ name: 'virtio', kind: 'full' }]);
    expect(harvest.notes).toContainEqual(expect.stringMatching(/^All of disk virtio was read/));
    await keep(harvest, disks);
    const wanted = Buffer.alloc(SIZE).fill(1, 4096, 8192).fill(2, 8192, 16_384);
    expect(Buffer.compare(disks.disks.get('virtio')!.read(0, SIZE), wanted)).toBe(0);
    const next = await machine.capture(memory);
    expect(next.disks).toMatchObject([{ kind: 'increment' }]);
    await next.commit();
    await machine.detach();
    await beatsMore(guest);
    await guest.stop();
  });

  test('leave nothing at all where no bitmap is to be kept', async () => {
    const guest = await bootWithDisks('virtio');
    for (const keepBitmaps of [true, false]) {
      const machine = await attach(guest, { config: { ...settings(guest), keepBitmaps } });
      await keep(await machine.capture(new OracleMemory(machine.info)), new DiskOracle());
      await machine.detach();
      expect(await ours(guest)).toHaveLength(keepBitmaps ? 1 : 0);
    }
    await guest.stop();
  });

  test('grow, and are left out by name', async () => {
    const guest = await bootWithDisks('virtio', 'ide');
    const machine = await attach(guest, { leaveOutDisks: ['ide'] });
    const memory = new OracleMemory(machine.info);
    const disks = new DiskOracle();
    const take = async (): Promise<Harvest> => machine.capture(memory);
    await keep(await take(), disks);
    await guest.monitor.execute('block_resize', { device: 'virtio', size: 2 * SIZE });
    await write(guest, 'virtio', 2 * SIZE - 4096, 4096, 9);
    const harvest = await take();
    expect(harvest.disks).toMatchObject([{ name: 'virtio', kind: 'full', sizeBytes: 2 * SIZE }]);
    await keep(harvest, disks);
    expect(await sameAsImage(guest, disks, ['virtio'])).toBe(true);
    await machine.detach();
    await guest.stop();
  });

  test.each(['us', 'us and the guard'])(
    'are the guest’s own again when %s are killed',
    async (who) => {
      const guest = await bootWithDisks('virtio', 'ide');
      const holder = await hold(guest);
      await write(guest, 'virtio', 4096, 8192, 1);
      const [told = ''] = await holder.ask('leave');
      const diskMoments = new Map(JSON.parse(told) as [string, string][]);
      expect(await leftovers(guest)).not.toEqual([]);
      if (who !== 'us') process.kill(holder.guardPid, 'SIGKILL');
      await holder.kill();
      await write(guest, 'virtio', 8192, 8192, 2);
      if (who === 'us') await vi.waitFor(async () => expect(await leftovers(guest)).toEqual([]), 20_000);
      await beatsMore(guest);
      const machine = await attach(guest);
      await write(guest, 'ide', 0, 4096, 3);
      // All zero, as they were at the last committed capture.
      const disks = new DiskOracle();
      const harvest = await machine.capture(new OracleMemory(machine.info), { diskMoments });
      expect(harvest.disks!.map(({ kind }) => kind)).toEqual(['increment', 'increment']);
      await keep(harvest, disks);
      expect(await sameAsImage(guest, disks, ['virtio', 'ide'])).toBe(true);
      await machine.detach();
      expect(await leftovers(guest)).toEqual([]);
      await guest.stop();
    },
    90_000,
  );

  test('come back with the memory that knows them', async () => {
    const guest = await bootWithDisks('virtio', 'ide');
    const machine = await attach(guest);
    const memory = new OracleMemory(machine.info);
    const disks = new DiskOracle();
    let deviceState: Harvest['deviceState'] = [];
    for (let k = 1; k <= 3; k++) {
      await write(guest, 'virtio', k * 8192, 8192, k);
      await write(guest, 'ide', k * 4096, 4096, 100 + k);
      const harvest = await machine.capture(memory);
      ({ deviceState } = harvest);
      await keep(harvest, disks);
    }
    const kept = memory.keep(machine.info, deviceState);
    await write(guest, 'virtio', 8192, 65_536, 250);
    const args: string[] = [...(guest.options.extraArgs ?? [])];
    for (const name of ['virtio', 'ide']) {
      const image = join(await directory(), `${name}-restored.img`);
      await writeFile(image, disks.disks.get(name)!.read(0, SIZE));
      args[args.findIndex((arg) => arg.includes(`id=${name}`))] =
        `file=${image},format=raw,if=none,id=${name}`;
    }
    const restored = await twin(guest, { extraArgs: args });
    const report = await hypervisor.restore(restored.qmpPath, kept);
    expect(report.state).toBe('running');
    await proveTwin(guest, restored);
    const read = 'qemu-io virtio "read -P 3 24576 8192"';
    const said = await restored.monitor.execute<string>('human-monitor-command', { 'command-line': read });
    expect(said).not.toMatch(/fail|error/i);
    await machine.detach();
    await restored.stop();
    await guest.stop();
  });

  test('are not captured where someone else serves disks, and that goes on', async () => {
    const guest = await bootWithDisks('virtio', 'ide');
    const path = join(await directory(), 'other.sock');
    await guest.monitor.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
    await guest.monitor.execute('block-export-add', {
      type: 'nbd',
      id: 'theirs',
      'node-name': await nodeOf(guest),
    });
    await expect(attach(guest)).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
    expect(await guest.monitor.execute('query-block-exports')).toHaveLength(1);
    await guest.stop();
  });

  test('leave alone who begins to serve disks later', async () => {
    const guest = await bootWithDisks('virtio', 'ide');
    const machine = await attach(guest);
    const path = join(await directory(), 'other.sock');
    await guest.monitor.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
    const theirs = { type: 'nbd', id: 'theirs', 'node-name': await nodeOf(guest) };
    await guest.monitor.execute('block-export-add', theirs);
    await expect(machine.capture(new OracleMemory(machine.info))).rejects.toMatchObject({
      code: 'MACHINE_BUSY',
    });
    await machine.detach();
    expect(await guest.monitor.execute('query-block-exports')).toHaveLength(1);
    await guest.stop();
  });

  test('leave alone a server that has no export yet, whenever it began', async () => {
    const guest = await bootWithDisks('virtio');
    const path = join(await directory(), 'other.sock');
    const serve = async (): Promise<unknown> =>
      guest.monitor.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
    const serves = async (): Promise<void> => expect(serve()).rejects.toThrow(/already running/);
    await serve();
    await expect(attach(guest)).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
    await serves();
    await guest.monitor.execute('nbd-server-stop');
    const machine = await attach(guest);
    const disks = new DiskOracle();
    const take = async (): Promise<Harvest> => machine.capture(new OracleMemory(machine.info));
    await serve();
    await expect(take()).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
    await serves();
    await guest.monitor.execute('nbd-server-stop');
    await keep(await take(), disks);
    // Its operator ends ours and begins another.
    await guest.monitor.execute('nbd-server-stop');
    await serve();
    await expect(take()).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
    await machine.detach();
    await serves();
    expect(await leftovers(guest)).toEqual([]);
    await guest.stop();
  });

  test('are served by nobody when we are killed between two captures', async () => {
    const guest = await bootWithDisks('virtio');
    const holder = await hold(guest);
    process.kill(holder.guardPid, 'SIGKILL');
    await holder.kill();
    const machine = await attach(guest);
    await keep(await machine.capture(new OracleMemory(machine.info)), new DiskOracle());
    await machine.detach();
    expect(await leftovers(guest)).toEqual([]);
    const path = join(await directory(), 'other.sock');
    await guest.monitor.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
    await guest.stop();
  });

  test('are waited for while QEMU owes them only, and come again when it goes on', async () => {
    const guest = await bootWithDisks('virtio');
    const timeoutMs = 2000;
    const machine = await attach(guest, { config: { ...settings(guest), timeoutMs } });
    const memory = new OracleMemory(machine.info);
    const disks = new DiskOracle();
    const mib = 1 << 20;
    for (let at = 0; at < SIZE; at += mib) await write(guest, 'virtio', at, mib, 7);
    const slow = await machine.capture(memory);
    let bytes = 0;
    for await (const extent of slow.disks![0]!.read()) {
      // Whoever stores them may take long.
      if (bytes === 0) await sleep(2 * timeoutMs);
      bytes += 'bytes' in extent ? extent.bytes.length : 0;
    }
    expect(bytes).toBe(SIZE);
    await slow.rollback();
    const harvest = await machine.capture(memory);
    const reading = async (): Promise<void> => {
      for await (const _ of harvest.disks![0]!.read()) process.kill(guest.pid, 'SIGSTOP');
    };
    await expect(reading()).rejects.toMatchObject({ code: 'CAPTURE_FAILED' });
    process.kill(guest.pid, 'SIGCONT');
    await harvest.rollback();
    await keep(await machine.capture(memory), disks);
    expect(await sameAsImage(guest, disks, ['virtio'])).toBe(true);
    await machine.detach();
    await guest.stop();
  });

  test('leave nothing of a capture that its guest’s stop cut short', async () => {
    const guest = await bootWithDisks('virtio');
    const machine = await attach(guest);
    const memory = new OracleMemory(machine.info);
    const disks = new DiskOracle();
    await keep(await machine.capture(memory), disks);
    for (let round = 0; round < 10; round++) {
      await write(guest, 'virtio', round * 8192, 8192, round + 1);
      const taking = machine.capture(memory).catch((error: unknown) => error as FitdocError);
      await sleep(round * 2);
      await guest.monitor.execute('stop');
      const taken = await taking;
      if (taken instanceof FitdocError) {
        expect(taken.code).toBe('MACHINE_NOT_RUNNING');
        expect((await leftovers(guest)).filter((name) => !/^fitdoc-srv-/.test(name))).toEqual([]);
      } else await keep(taken, disks);
      await guest.monitor.execute('cont');
    }
    await keep(await machine.capture(memory), disks);
    expect(await sameAsImage(guest, disks, ['virtio'])).toBe(true);
    await machine.detach();
    expect(await leftovers(guest)).toEqual([]);
    await beatsMore(guest);
    await guest.stop();
  });

  test('that somebody put back before the harvest was settled are let be', async () => {
    const guest = await bootWithDisks('virtio');
    const [disk] = await findDisks(guest.monitor, new Set());
    const machine = await attach(guest);
    const harvest = await machine.capture(new OracleMemory(machine.info));
    const own = { path: disk!.device, property: 'drive', value: disk!.node };
    await guest.monitor.execute('qom-set', own);
    await harvest.commit();
    expect(await nodeOf(guest)).toBe(disk!.node);
    await machine.detach();
    expect(await leftovers(guest)).toEqual([]);
    await beatsMore(guest);
    await guest.stop();
  });

  test('are the guest’s own again though no bitmap tells what a filter stands before', async () => {
    const guest = await bootWithDisks('virtio');
    const node = await nodeOf(guest);
    const { monitor } = guest;
    const name = (kind: string): string => `fitdoc-${kind}-abcdef-0-1`;
    const fleece = join(await directory(), 'fleece');
    await writeFile(fleece, '');
    await truncate(fleece, SIZE);
    await monitor.execute('blockdev-add', { driver: 'file', 'node-name': name('tmp'), filename: fleece });
    const filter = { driver: 'copy-before-write', 'node-name': name('cbw'), file: node, target: name('tmp') };
    await monitor.execute('blockdev-add', filter);
    const [disk] = await findDisks(monitor, new Set());
    await monitor.execute('qom-set', { path: disk!.device, property: 'drive', value: name('cbw') });
    expect(await nodeOf(guest)).toBe(name('cbw'));
    await sweepDisks(monitor, { behind: new Map([[name('cbw'), node]]) });
    expect(await nodeOf(guest)).toBe(node);
    expect(await leftovers(guest)).toEqual([]);
    await guest.stop();
  });
});

/** Reads all disks, then forgets what was written before. */
async function keep(harvest: Harvest, disks: DiskOracle): Promise<void> {
  await disks.apply(harvest);
  await harvest.commit();
}

async function nodeOf(guest: DiskGuest): Promise<string> {
  const drives = await guest.monitor.execute<{ inserted?: { 'node-name': string } }[]>('query-block');
  return drives.find(({ inserted }) => inserted)!.inserted!['node-name'];
}

async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'fitdoc-disks-'));
  directories.push(made);
  return made;
}
