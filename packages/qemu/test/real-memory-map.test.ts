import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { readMemoryMap, type MappedRange } from '../src/machine/memory-map.js';
import type { QmpClient } from '../src/qmp/client.js';
import { connectSocket } from '../src/qmp/socket.js';
import { withoutQemu } from './support/real.js';
import { testedQemus, type TestedQemu } from './support/table.js';

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const MIB = 1 << 20;
const blocks = [
  { name: 'pc.ram', size: 64 * MIB, firstGfn: 0 },
  { name: '0000:00:02.0/vga.vram', size: 16 * MIB, firstGfn: 0 },
  { name: 'pc.bios', size: 256 << 10, firstGfn: 0 },
  { name: 'pc.rom', size: 128 << 10, firstGfn: 0 },
];

/** A QEMU whose own firmware has given its devices their addresses. */
async function started(
  { program, firmware }: TestedQemu,
  machine: string,
  use: (qmp: QmpClient) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'fitdoc-map-'));
  const path = join(directory, 'qmp');
  const args = ['-machine', machine, '-m', '64', '-display', 'none', '-device', 'virtio-rng-pci,id=r1'];
  const more = firmware === undefined ? [] : ['-L', firmware];
  const socket = ['-qmp', `unix:${path},server=on,wait=off`];
  const qemu = spawn(program ?? 'qemu-system-x86_64', [...args, ...more, ...socket], { stdio: 'ignore' });
  try {
    const client = await connected(path, qemu);
    while (!(await monitor(client, 'info mtree')).includes('virtio-pci-notify')) await sleep(50);
    await use(client);
    client.close();
  } finally {
    qemu.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}

/** The socket's file is there a moment before anybody can connect. */
async function connected(path: string, qemu: ChildProcess): Promise<QmpClient> {
  for (;;) {
    if (qemu.exitCode !== null) throw new Error(`QEMU ended with ${qemu.exitCode}`);
    const connection = await connectSocket(path).catch(() => undefined);
    if (connection) return connection.client;
    await sleep(20);
  }
}

async function monitor(qmp: QmpClient, line: string): Promise<string> {
  return qmp.execute<string>('human-monitor-command', { 'command-line': line });
}

/** What `info mtree -f` shows, which is asked of QEMUs that nothing will be unplugged from. */
async function toldFlat(qmp: QmpClient): Promise<MappedRange[]> {
  const views = (await monitor(qmp, 'info mtree -f')).split(/^FlatView #/m);
  const view = views.find((each) => /^ AS "memory"/m.test(each))!;
  const line = /^ {2}([0-9a-f]{16})-([0-9a-f]{16}) \(prio \d+, (?:ram|rom)\): (\S+)(?: @([0-9a-f]{16}))?/gm;
  const ranges: MappedRange[] = [];
  for (const [, from, to, name, at = '0'] of view.matchAll(line)) {
    const [address = 0, end = 0, offset = 0] = [from!, to!, at].map((text) => Number.parseInt(text, 16));
    const region = blocks.find((block) => block.name.endsWith(name!))?.name;
    if (region === undefined) continue;
    const bytes = end + 1 - address;
    const last = ranges.at(-1);
    if (
      last?.region === region &&
      last.address + last.bytes === address &&
      last.offset + last.bytes === offset
    )
      ranges.splice(-1, 1, { ...last, bytes: last.bytes + bytes });
    else ranges.push({ region, offset, bytes, address });
  }
  return ranges;
}

describe.skipIf(withoutQemu).each(qemus)('where memory lies, on QEMU $version', (qemu) => {
  test('is told, and a device that was there can be unplugged afterwards', async () => {
    await started(qemu, 'pc', async (qmp) => {
      let isGone = false;
      qmp.onEvent(({ name, data }) => {
        isGone ||= name === 'DEVICE_DELETED' && data['path'] === '/machine/peripheral/r1';
      });
      expect(await readMemoryMap(qmp, blocks)).not.toEqual([]);
      await qmp.execute('device_del', { id: 'r1' });
      // A reset lets go of what the guest was asked to give back; one while the firmware sets up may not.
      for (let look = 0; !isGone; look++) {
        if (look % 50 === 0) await qmp.execute('system_reset');
        await sleep(20);
      }
    });
  });

  test.each(['pc', 'q35'])('is what QEMU itself makes of its tree, on %s', async (machine) => {
    await started(qemu, machine, async (qmp) => {
      // The firmware moves memory about for a while; both are to be told of one moment.
      await qmp.execute('stop');
      const map = await readMemoryMap(qmp, blocks);
      expect(map.map(({ region }) => region)).toContain('pc.ram');
      expect(map).toEqual(await toldFlat(qmp));
    });
  });
});
