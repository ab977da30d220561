import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskOracle } from '@fitdoc/compliance/hypervisor';
import type { Machine } from '@fitdoc/interface';
import { afterAll, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import { OracleMemory } from './support/oracle.js';
import {
  bareMetal,
  beatsMore,
  boot,
  settings,
  stopGuests,
  withoutQemu,
  type TestGuest,
} from './support/real.js';

const folders: string[] = [];
afterAll(async () => {
  await stopGuests();
  for (const folder of folders) await rm(folder, { recursive: true });
});

const SIZE = 2 << 20;
const PIECE = 64 << 10;

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'fitdoc-kinds-'));
  folders.push(made);
  return made;
}

/** What each disk holds, by what was asked of its front end; compared with what captures brought. */
class Model {
  readonly contents = new Map<string, Buffer>();
  private pattern = 0;

  constructor(private readonly guest: TestGuest) {}

  async write(name: string, offset: number, length: number): Promise<void> {
    this.pattern = (this.pattern % 250) + 1;
    await this.ask(name, `write -P ${this.pattern} ${offset} ${length}`);
    this.contents.get(name)!.fill(this.pattern, offset, offset + length);
  }

  /** As a guest's discard, or its write of zeroes, that gives the room back. */
  async discard(name: string, offset: number, length: number): Promise<void> {
    await this.ask(name, `write -z -u ${offset} ${length}`);
    this.contents.get(name)!.fill(0, offset, offset + length);
  }

  private async ask(name: string, what: string): Promise<void> {
    const said = await this.guest.monitor.execute<string>('human-monitor-command', {
      'command-line': `qemu-io ${name} "${what}"`,
    });
    if (/fail|error/i.test(said)) throw new Error(said);
  }
}

/** Takes a capture, and says of which kinds its disks came; what it brought is compared with the model. */
async function take(
  machine: Machine,
  memory: OracleMemory,
  disks: DiskOracle,
  model: Model,
): Promise<Record<string, string>> {
  const harvest = await machine.capture(memory);
  await disks.apply(harvest);
  await harvest.commit();
  const brought = harvest.disks ?? [];
  for (const { name } of brought) {
    const expected = model.contents.get(name)!;
    const found = disks.disks.get(name)!;
    expect([name, Buffer.compare(expected, found.read(0, expected.length))]).toEqual([name, 0]);
  }
  return Object.fromEntries(brought.map(({ name, kind }) => [name, kind]));
}

describe.skipIf(withoutQemu)('disks of all kinds', () => {
  test('are right through writes, discards, hot-plug, unplug and another size', async () => {
    const at = await folder();
    const base = Buffer.alloc(SIZE);
    for (let piece = 0; piece < SIZE / PIECE; piece += 3)
      base.fill(piece + 1, piece * PIECE, (piece + 1) * PIECE);
    for (const name of ['base', 'scsi', 'ide', 'hot', 'cd'])
      await writeFile(join(at, `${name}.raw`), name === 'base' ? base : Buffer.alloc(SIZE));
    const create = [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      join(at, 'base.raw'),
      join(at, 'top.qcow2'),
    ];
    execFileSync('qemu-img', create);
    const drive = (id: string, file: string, format: string, more = ''): string[] => [
      ...['-drive', `file=${join(at, file)},format=${format},if=none,id=${id},discard=unmap${more}`],
    ];
    const guest = await boot(
      bareMetal({
        name: 'kinds',
        extraArgs: [
          ...[...drive('top', 'top.qcow2', 'qcow2'), '-device', 'virtio-blk-pci,drive=top'],
          ...[...drive('scsi', 'scsi.raw', 'raw'), '-device', 'virtio-scsi-pci,id=bus'],
          ...['-device', 'scsi-hd,drive=scsi,bus=bus.0', ...drive('ide', 'ide.raw', 'raw')],
          ...['-device', 'ide-hd,drive=ide', ...drive('cd', 'cd.raw', 'raw', ',readonly=on,media=cdrom')],
          ...['-device', 'ide-cd,drive=cd'],
        ],
      }),
    );
    const model = new Model(guest);
    model.contents.set('top', base);
    for (const name of ['scsi', 'ide']) model.contents.set(name, Buffer.alloc(SIZE));
    // In COLO's place: while that is, QEMU plugs nothing in or out.
    const config = { mode: 'precopy' };
    const machine = await hypervisor.attach(guest.qmpPath, { disks: 'capture', config });
    const [memory, disks] = [new OracleMemory(machine.info), new DiskOracle()];
    const captured = async () => take(machine, memory, disks, model);
    const same = { top: 'increment', scsi: 'increment', ide: 'increment' };

    expect(await captured()).toEqual({ top: 'full', scsi: 'full', ide: 'full' });
    for (const name of ['top', 'scsi', 'ide']) {
      await model.write(name, 3 * 4096, 5 * 4096);
      await model.discard(name, 9 * PIECE, 2 * PIECE);
    }
    expect(await captured()).toEqual(same);

    const { monitor } = guest;
    const added = {
      driver: 'raw',
      'node-name': 'hot',
      file: { driver: 'file', filename: join(at, 'hot.raw') },
    };
    await monitor.execute('blockdev-add', added);
    await monitor.execute('device_add', { driver: 'scsi-hd', drive: 'hot', bus: 'bus.0', id: 'hot' });
    model.contents.set('hot', Buffer.alloc(SIZE));
    await model.write('scsi', 0, 4096);
    expect(await captured()).toEqual({ ...same, hot: 'full' });
    await model.discard('top', 0, 4096);
    expect(await captured()).toEqual({ ...same, hot: 'increment' });

    const gone = new Promise<void>((resolve) =>
      monitor.onEvent(({ name }) => {
        if (name === 'DEVICE_DELETED') resolve();
      }),
    );
    await monitor.execute('device_del', { id: 'hot' });
    await gone;
    await monitor.execute('block_resize', { device: 'ide', size: SIZE + PIECE });
    model.contents.set('ide', Buffer.concat([model.contents.get('ide')!, Buffer.alloc(PIECE)]));
    await model.write('ide', SIZE, 4096);
    expect(await captured()).toEqual({ ...same, ide: 'full' });

    await machine.detach();
    await beatsMore(guest);
    await guest.stop();
  });

  test('that QEMU itself cannot migrate are refused, and why is told', async () => {
    const at = await folder();
    await writeFile(join(at, 'nvme.raw'), Buffer.alloc(SIZE));
    const drive = `file=${join(at, 'nvme.raw')},format=raw,if=none,id=nvme`;
    const extraArgs = ['-drive', drive, '-device', 'nvme,drive=nvme,serial=1'];
    const guest = await boot(bareMetal({ name: 'nvme', extraArgs }));
    const attaching = hypervisor.attach(guest.qmpPath, { disks: 'capture', config: settings(guest) });
    await expect(attaching).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: expect.stringContaining('nvme') as string,
    });
    await beatsMore(guest);
    await guest.stop();
  });
});
