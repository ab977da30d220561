import type { MachineInfo } from '@fitdoc/interface';
import { expect, test } from 'vitest';
import { hypervisor } from '../src/hypervisor.js';
import type { Description } from '../src/machine/describe.js';
import { machineInfo } from '../src/machine/info.js';
import { checkTarget } from '../src/restore/check.js';

const description: Description = {
  qemu: { major: 7, minor: 2, micro: 22, text: '7.2.22' },
  name: undefined,
  uuid: undefined,
  architecture: 'x86_64',
  machineType: 'pc-i440fx-7.2',
  accelerator: 'kvm',
  cpus: 2,
  cpuModel: 'qemu64-x86_64-cpu',
  memoryBytes: 1 << 20,
  mainRam: '/objects/pc.ram',
  devices: ['VGA@10', 'i8042'],
  undescribed: false,
};
const header = {
  machineType: 'pc-i440fx-7.2',
  configuration: new Uint8Array(0),
  blocks: [
    { name: 'pc.ram', size: 1 << 20, firstGfn: 0 },
    { name: 'mem1', size: 1 << 21, firstGfn: 256 },
    { name: '0000:00:02.0/vga.vram', size: 8192, firstGfn: 768 },
    { name: '/rom@etc/acpi/tables', size: 4096, firstGfn: 770 },
    { name: 'system.flash0', size: 4096, firstGfn: 771 },
  ],
};
const blocks = new Map(header.blocks.map(({ name, size }) => [name, size]));

const informed = (change: Partial<Description> = {}, machineId?: string): MachineInfo =>
  machineInfo({ ...description, ...change }, header, [], ['pc.ram', 'mem1'], {
    machineId,
    location: '/run/vm one.sock',
  });

test('a machine is known by its UUID, else its name, else its socket, or as it is told', () => {
  expect(informed({ uuid: '6e0d1b4c-1111-2222-3333-444455556666', name: 'web' })).toMatchObject({
    id: '6e0d1b4c-1111-2222-3333-444455556666',
    name: 'web',
  });
  expect(informed({ name: 'web 1' }).id).toBe('web_1');
  expect(informed()).toMatchObject({ id: 'vm_one', name: 'vm one' });
  expect(informed({}, 'mine-1').id).toBe('mine-1');
  expect(() => informed({}, 'a b')).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
});

test('regions have their kinds, and main memory is marked', () => {
  const { regions, platform } = informed();
  expect(regions.map(({ kind }) => kind)).toEqual(['ram', 'ram', 'device', 'rom', 'rom']);
  expect(platform['mainRam']).toBe('pc.ram');
  expect(informed({ mainRam: undefined }).platform['mainRam']).toBe('mem1');
});

test('a target that fits is accepted, also when QEMU there is newer', () => {
  checkTarget(informed(), description, blocks);
  checkTarget(
    informed(),
    { ...description, qemu: { major: 10, minor: 0, micro: 0, text: '10.0.0' } },
    blocks,
  );
  checkTarget(informed(), description, new Map([...blocks, ['/rom@etc/acpi/tables', 2 << 20]]));
});

test.each<[string, Partial<Description>, ReadonlyMap<string, number>, RegExp]>([
  [
    'machine type',
    { machineType: 'pc-q35-7.2' },
    blocks,
    /machine type: pc-i440fx-7.2 wanted, pc-q35-7.2 there/,
  ],
  ['CPUs', { cpus: 4 }, blocks, /CPUs: 2 wanted, 4 there/],
  ['CPU model', { cpuModel: 'host' }, blocks, /CPU model/],
  ['accelerator', { accelerator: 'tcg' }, blocks, /accelerator: kvm wanted/],
  [
    'an older QEMU',
    { qemu: { major: 6, minor: 9, micro: 0, text: '6.9.0' } },
    blocks,
    /QEMU: 7.2.22 wanted, 6.9.0/,
  ],
  ['a missing device', { devices: ['i8042'] }, blocks, /device VGA@10 is missing/],
  [
    'another device',
    { devices: ['VGA@10', 'i8042', 'e1000@18'] },
    blocks,
    /e1000@18 is not in the checkpoint/,
  ],
  [
    'less memory',
    { memoryBytes: 1 << 19 },
    new Map([...blocks, ['pc.ram', 1 << 19]]),
    /RAM block pc.ram: 1048576 bytes wanted, 524288/,
  ],
  ['a missing block', {}, new Map([['pc.ram', 1 << 20]]), /RAM block mem1 is missing/],
  ['another block', {}, new Map([...blocks, ['x', 4096]]), /RAM block x is not in the checkpoint/],
])('a target that differs in %s is refused with the difference', (_, change, there, message) => {
  expect(() => checkTarget(informed(), { ...description, ...change }, there)).toThrow(
    expect.objectContaining({
      code: 'MACHINE_INCOMPATIBLE',
      message: expect.stringMatching(message) as string,
    }),
  );
});

test('settings that are unknown or senseless are refused by name', async () => {
  for (const config of [{ mod: 'colo' }, { mode: 'fast' }, { downtimeLimitMs: 0 }, { guard: 1 }])
    await expect(hypervisor.attach('/nowhere.sock', { config })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  await expect(hypervisor.attach('')).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
  await expect(hypervisor.attach('file:x')).rejects.toMatchObject({ code: 'LOCATION_INVALID' });
  await expect(hypervisor.attach('/nowhere.sock')).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
});
