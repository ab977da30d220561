import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FirmwareHeart } from '../qemu/index.js';
import { run } from '../shell.js';
import { bootElements, emulatorWithMemoryBeyondMib } from './files.js';
import type { LibvirtHost } from './host.js';

export interface DomainOptions {
  readonly name: string;
  readonly uuid?: string;
  /**
   * `linux`: Debian's kernel and busybox under software emulation, with a disk on virtio; `firmware`: the bare-metal
   * guest, on KVM; `emulated-firmware`: the same without KVM. All prove their own memory on their serial console, Linux
   * also that disk and memory are of one moment (`DB` lines, see `readDiskBeats`).
   */
  readonly guest: 'linux' | 'firmware' | 'emulated-firmware';
  /** MiB, as libvirt counts. Default 64 for the bare-metal guest, 128 for Linux. */
  readonly memoryMib?: number;
  readonly machine?: string;
  /** Size of the disk, MiB (qcow2); 0: none. Default: 16 for Linux, else none. */
  readonly diskMib?: number;
  /** The QEMU to run instead of the system's: a program, as `otherQemu` names them. The domain then runs as root. */
  readonly qemu?: string;
  readonly firmwareHeart?: FirmwareHeart;
  /** More elements of `<devices>`. */
  readonly devices?: string;
  /** More elements of `<domain>`. */
  readonly elements?: string;
}

export interface TestDomain {
  readonly name: string;
  readonly xml: string;
  /** File that receives the serial console's output; readable by root. */
  readonly serialPath: string;
  /** Its qcow2, when it has one. */
  readonly diskPath: string | undefined;
}

/** Makes the files of a domain in the host's folder, and its XML. Nothing is defined or started. */
export async function makeDomain(host: LibvirtHost, options: DomainOptions): Promise<TestDomain> {
  const { name, guest } = options;
  const linux = guest === 'linux';
  const directory = join(host.directory, 'guests', name);
  await mkdir(directory, { recursive: true });
  const serialPath = join(directory, 'serial');
  const diskMib = options.diskMib ?? (linux ? 16 : 0);
  const diskPath = diskMib > 0 ? join(directory, 'disk.qcow2') : undefined;
  if (diskPath !== undefined) await run('qemu-img', ['create', '-q', '-f', 'qcow2', diskPath, `${diskMib}M`]);
  const os = await bootElements(directory, options.guest, options.firmwareHeart);
  const emulator =
    guest === 'firmware'
      ? (options.qemu ?? '/usr/bin/qemu-system-x86_64')
      : await emulatorWithMemoryBeyondMib(directory, options.qemu ?? '/usr/bin/qemu-system-x86_64');
  const disk =
    diskPath === undefined
      ? ''
      : `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${diskPath}'/><target dev='vda' bus='virtio'/></disk>`;
  // QEMUs of other releases lie in a folder that only root enters.
  const asRoot = "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>";
  const xml = `<domain type='${guest === 'firmware' ? 'kvm' : 'qemu'}'>
  <name>${name}</name>${options.uuid === undefined ? '' : `<uuid>${options.uuid}</uuid>`}
  <memory unit='MiB'>${options.memoryMib ?? (linux ? 128 : 64)}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='${options.machine ?? 'pc'}'>hvm</type>${os}</os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>${emulator}</emulator>
    <controller type='usb' model='none'/>
    ${disk}
    <serial type='file'><source path='${serialPath}'/></serial>
    <memballoon model='none'/>
    ${options.devices ?? ''}
  </devices>
  ${options.qemu === undefined ? '' : asRoot}
  ${options.elements ?? ''}
</domain>
`;
  return { name, xml, serialPath, diskPath };
}

/** Makes, defines and starts a domain. */
export async function startDomain(host: LibvirtHost, options: DomainOptions): Promise<TestDomain> {
  const domain = await makeDomain(host, options);
  await defineDomain(host, domain);
  await host.virsh('start', domain.name);
  return domain;
}

export async function defineDomain(host: LibvirtHost, { name, xml }: TestDomain): Promise<void> {
  const file = join(host.directory, 'guests', `${name}.xml`);
  await writeFile(file, xml);
  await host.virsh('define', file);
}

/** Destroys a domain that runs, and undefines it. Its files stay. */
export async function removeDomain(host: LibvirtHost, name: string): Promise<void> {
  await host.virsh('destroy', name).catch(() => undefined);
  await host.virsh('undefine', name).catch(() => undefined);
}
