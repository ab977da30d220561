import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RestoreSource } from '@fitdoc/interface';
import type { Door } from '../src/door.js';
import { qemuHypervisor } from '../src/hypervisor.js';
import { socketDoor } from '../src/qmp/socket-door.js';
import { hypervisor } from './support/hypervisor.js';
import { restoreToFile, writeRamFile } from '../src/restore/file.js';
import type { KeptCheckpoint } from './support/oracle.js';
import {
  bareMetal,
  beatsMore,
  boot,
  type GuestOptions,
  isRunning,
  Protected,
  proveRestored,
  proveTwin,
  settings,
  stopGuests,
  type TestGuest,
  twin,
  withoutQemu,
} from './support/real.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fitdoc-restores-'));
});
afterEach(async () => {
  await stopGuests();
  await rm(directory, { recursive: true });
});

async function checkpointed(
  options: GuestOptions = bareMetal(),
  config: Record<string, unknown> = {},
  captures = 2,
): Promise<{ guest: TestGuest; kept: KeptCheckpoint; kinds: string[] }> {
  const guest = await boot(options);
  const machine = await hypervisor.attach(guest.qmpPath, { config: { ...settings(guest), ...config } });
  const protection = new Protected(machine);
  const kinds: string[] = [];
  for (let i = 0; i < captures; i++) {
    kinds.push((await protection.capture()).kind);
    await beatsMore(guest, 1);
  }
  const kept = await protection.keep();
  await machine.detach();
  return { guest, kept, kinds };
}

/** A door that tells of each command that goes through it. */
function listening(tell: (command: string) => void): Door {
  const sockets = socketDoor('kvm');
  return {
    ...sockets,
    connect: async (path, options) => {
      const connected = await sockets.connect(path, options);
      const { client } = connected;
      const execute = client.execute.bind(client);
      client.execute = async (command, ...rest) => {
        tell(command);
        return execute(command, ...rest);
      };
      return connected;
    },
  };
}

describe.skipIf(withoutQemu)('a restore', () => {
  test('goes through a file that QEMU reads by itself', async () => {
    const { guest, kept } = await checkpointed();
    const path = join(directory, 'machine.qemu');
    expect((await restoreToFile(path, kept)).state).toBe('written');
    const target = await twin(guest, { incoming: false, extraArgs: ['-incoming', `exec:cat ${path}`] });
    await proveTwin(guest, target);
  }, 300_000);

  test('maps a prepared RAM file, and sends no page of it', async () => {
    const { guest, kept } = await checkpointed();
    const ramFile = join(directory, 'ram');
    await writeRamFile(kept, ramFile);
    const size = guest.options.memoryKib ?? 64 * 1024;
    const backend = `memory-backend-file,id=pc.ram,size=${size}K,mem-path=${ramFile},share=off`;
    const target = await twin(guest, {
      machine: 'pc,memory-backend=pc.ram',
      extraArgs: ['-object', backend],
    });
    const report = await hypervisor.restore(target.qmpPath, kept, { config: { ramFile } });
    expect(report.pages).toBeLessThan(200);
    await proveTwin(guest, target);
    // A full restore over what a file holds: its zeros are sent, too.
    const filled = join(directory, 'filled');
    await writeFile(filled, Buffer.alloc(size * 1024, 0x5a));
    const over = await twin(guest, {
      machine: 'pc,memory-backend=pc.ram',
      extraArgs: ['-object', backend.replace(ramFile, filled)],
    });
    await hypervisor.restore(over.qmpPath, kept);
    await proveTwin(guest, over);
    const plain = await twin(guest);
    await expect(hypervisor.restore(plain.qmpPath, kept, { config: { ramFile } })).rejects.toMatchObject({
      code: 'MACHINE_INCOMPATIBLE',
    });
  }, 300_000);

  test('into targets that are alike examines one, and reads what all are sent once', async () => {
    const { guest, kept } = await checkpointed();
    const ramFile = join(directory, 'ram');
    await writeRamFile(kept, ramFile);
    const size = guest.options.memoryKib ?? 64 * 1024;
    const backend = `memory-backend-file,id=pc.ram,size=${size}K,mem-path=${ramFile},share=off`;
    const mapped = { machine: 'pc,memory-backend=pc.ram', extraArgs: ['-object', backend] };
    const targets = await Promise.all(Array.from({ length: 3 }, () => twin(guest, mapped)));
    let reads = 0;
    const source: RestoreSource = {
      ...{ info: kept.info, deviceState: kept.deviceState },
      pages: (options) => {
        reads++;
        return kept.pages(options);
      },
    };
    const asked: string[] = [];
    const alike = {};
    const restoring = qemuHypervisor(listening((command) => asked.push(command)));
    const reports = await Promise.all(
      targets.map((target) => restoring.restore(target.qmpPath, source, { config: { ramFile }, alike })),
    );
    expect(reads).toBe(1);
    expect(asked.filter((command) => command === 'x-query-ramblock')).toHaveLength(1);
    expect(asked.filter((command) => command === 'migrate-incoming')).toHaveLength(3);
    expect(new Set(reports.map(({ pages, notes }) => JSON.stringify([pages, notes]))).size).toBe(1);
    for (const target of targets) await proveTwin(guest, target);
    const plain = await Promise.all([twin(guest), twin(guest)]);
    const refused = { code: 'MACHINE_INCOMPATIBLE' };
    const options = { config: { ramFile }, alike: {} };
    for (const { qmpPath } of plain)
      await expect(restoring.restore(qmpPath, source, options)).rejects.toMatchObject(refused);
  }, 300_000);

  test('names what differs before anything is touched, and then still works', async () => {
    const { guest, kept } = await checkpointed();
    const other = await twin(guest, {
      cpus: 1,
      machine: 'q35',
      memoryKib: 80 * 1024,
      extraArgs: ['-device', 'virtio-rng-pci'],
    });
    await expect(hypervisor.restore(other.qmpPath, kept)).rejects.toMatchObject({
      code: 'MACHINE_INCOMPATIBLE',
      message: expect.stringMatching(
        /machine type[^]*CPUs: 2 wanted, 1[^]*memory[^]*virtio-rng-pci[^]*pc\.ram/,
      ) as string,
    });
    await expect(hypervisor.restore(guest.qmpPath, kept)).rejects.toMatchObject({ code: 'MACHINE_BUSY' });
    await proveRestored(guest, kept);
  }, 300_000);

  test('that QEMU cannot load fails, and says so', async () => {
    const { guest, kept } = await checkpointed();
    const spoiled = { ...kept, info: kept.info, pages: kept.pages.bind(kept) };
    spoiled.deviceState = kept.deviceState.map(({ name, bytes }) => ({
      name,
      bytes: name === 'devices' ? bytes.map((byte, at) => (at === 6 ? byte ^ 1 : byte)) : bytes,
    }));
    const target = await twin(guest);
    await expect(hypervisor.restore(target.qmpPath, spoiled)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
  }, 300_000);
});

describe.skipIf(withoutQemu)('without COLO', () => {
  test('each capture is full, by an ordinary migration', async () => {
    const { guest, kept, kinds } = await checkpointed(bareMetal(), { mode: 'precopy' }, 4);
    expect(kinds).toEqual(['full', 'full', 'full', 'full']);
    const machine = await hypervisor.attach(guest.qmpPath, { config: { mode: 'precopy' } });
    expect(machine.supports.increments).toBe(false);
    expect(machine.supports.limits.join()).toMatch(/all of the memory/);
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);
});

test.skipIf(withoutQemu)(
  'an emulated guest is not put at the risk of COLO unless told to',
  async () => {
    const guest = await boot({ accel: 'tcg', guest: 'firmware', memoryKib: 64 * 1024 + 8 });
    const machine = await hypervisor.attach(guest.qmpPath);
    expect(machine.supports.increments).toBe(false);
    expect(machine.supports.limits.join()).toMatch(/emulated/);
    await machine.detach();
  },
  300_000,
);

describe.skipIf(withoutQemu)('a guest with disks', () => {
  test('is refused unless they are kept elsewhere, and then they are recorded', async () => {
    const disk = join(directory, 'disk.img');
    await writeFile(disk, '');
    await truncate(disk, 1 << 20);
    const drive = [
      '-drive',
      `file=${disk},format=raw,if=none,id=data`,
      '-device',
      'virtio-blk-pci,drive=data',
    ];
    const guest = await boot(bareMetal({ extraArgs: drive }));
    await expect(hypervisor.attach(guest.qmpPath, { disks: 'refuse' })).rejects.toMatchObject({
      code: 'MACHINE_HAS_DISKS',
      message: expect.stringContaining('disk.img') as string,
    });
    expect(await isRunning(guest)).toBe(true);
    const machine = await hypervisor.attach(guest.qmpPath, { disks: 'external', config: settings(guest) });
    expect(machine.info.disks).toEqual([
      { name: 'data', writable: true, source: disk, format: 'raw', sizeBytes: 1 << 20 },
    ]);
    const kept = await new Protected(machine).keep();
    await machine.detach();
    await guest.monitor.execute('quit').catch(() => undefined);
    await guest.exited;
    const target = await twin(guest);
    const report = await hypervisor.restore(target.qmpPath, kept);
    expect(report.notes.join()).toMatch(/Disk data .*disk\.img/);
    await beatsMore(target);
  }, 300_000);
});
