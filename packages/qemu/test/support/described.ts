import type { MachineInfo } from '@fitdoc/interface';
import type { Description } from '../../src/machine/describe.js';
import { machineInfo } from '../../src/machine/info.js';

/** A machine as QEMU describes it. */
export const description: Description = {
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
  cpuFlags: ['avx2', 'sse'],
  cpuWords: undefined,
  devices: { all: ['VGA@10', 'i8042'], plugged: ['VGA@10'], macs: [] },
  undescribed: false,
};
export const header = {
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

const drives = { disks: [], flash: [] };

/** What a checkpoint of it records. */
export const informed = (change: Partial<Description> = {}, machineId?: string): MachineInfo =>
  machineInfo(
    { ...description, ...change },
    header,
    { drives, memoryBackends: ['pc.ram', 'mem1'], memoryMap: [] },
    {
      machineId,
      location: '/run/vm one.sock',
      scheme: 'kvm',
    },
  );
