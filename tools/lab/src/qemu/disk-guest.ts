import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../shell.js';
import { buildInitramfs, buildProgram } from './build.js';
import { guestDrivers, VIRTIO_DISK } from './install.js';

/** How a disk is put into a guest. */
export type DiskFront = 'virtio-blk' | 'virtio-scsi' | 'ide' | 'nvme';
/** How its content is kept. */
export type DiskFormat = 'raw' | 'qcow2' | 'qcow2-backed';

/** A disk of a proving guest. */
export interface GuestDisk {
  readonly front: DiskFront;
  readonly format: DiskFormat;
  /** Id of the drive, by which `query-block` names it. */
  readonly id: string;
  /** The image that the guest writes to. */
  readonly image: string;
}

/** What Debian's kernel for virtual machines needs beside what is built in (ext4, NVMe), in this order. */
const DRIVERS = [
  ...VIRTIO_DISK,
  ...['scsi_common', 'scsi_mod', 'sd_mod', 'virtio_scsi', 'libata', 'ata_piix', 'virtio_console'],
];

/** The guest's disks may come late; each that has a file system is mounted and proved by a process of its own. */
const PROVE = [
  'name=0',
  'for disk in $(sed "s/.*prove=\\([^ ]*\\).*/\\1/; s/,/ /g" /proc/cmdline); do',
  '  until [ -b /dev/$disk ]; do sleep 0.1; done',
  '  name=$((name + 1))',
  '  mkdir -p /mnt/$disk',
  '  mount -t ext4 /dev/$disk /mnt/$disk && /bin/disk-heart /mnt/$disk/proof $name &',
  'done',
];

/**
 * Builds the initramfs of a Linux guest whose disks and memory prove each other: each disk's process prints heartbeats,
 * named by its number in the command line's `prove=vda,sda`, from 1 on; the memory's own heart is 0.
 */
export async function buildDiskInitramfs(
  more: readonly { path: string; mode: number; content?: Uint8Array }[] = [],
  then: readonly string[] = [],
): Promise<string> {
  const program = { path: 'bin/disk-heart', mode: 0o755, content: await buildProgram('disk-heart.c') };
  return buildInitramfs([...(await guestDrivers(DRIVERS, [...then, ...PROVE])), program, ...more]);
}

const DISK_BYTES = 24 << 20;

/** Makes an ext4 disk for a proving guest. */
export async function makeDisk(
  directory: string,
  id: string,
  front: DiskFront = 'virtio-blk',
  format: DiskFormat = 'raw',
): Promise<GuestDisk> {
  await mkdir(directory, { recursive: true });
  const raw = join(directory, `${id}.raw`);
  await writeFile(raw, '');
  await truncate(raw, DISK_BYTES);
  await run('mkfs.ext4', ['-q', '-F', raw]);
  const image = format === 'raw' ? raw : join(directory, `${id}.qcow2`);
  if (format === 'qcow2') await run('qemu-img', ['convert', '-O', 'qcow2', raw, image]);
  if (format === 'qcow2-backed')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', image]);
  return { front, format, id, image };
}

/** Arguments of QEMU for disks, in their order; `images`: other images (raw) in their place, as a restore makes them. */
export function diskArguments(
  disks: readonly GuestDisk[],
  images: Readonly<Record<string, string>> = {},
): string[] {
  const controller = disks.some(({ front }) => front === 'virtio-scsi') ? ['-device', 'virtio-scsi-pci'] : [];
  return [...controller, ...disks.flatMap((disk) => argumentsOf(disk, images[disk.id]))];
}

/** What the Linux guest is told on its command line. */
export function provedDisks(disks: readonly GuestDisk[]): string {
  const scsi = disks.filter(({ front }) => front === 'virtio-scsi' || front === 'ide');
  // The kernel numbers those of one driver by their order; the lab has one of each at most.
  const names: Readonly<Record<DiskFront, string>> = {
    'virtio-blk': 'vda',
    'virtio-scsi': 'sda',
    ide: scsi.length > 1 ? 'sdb' : 'sda',
    nvme: 'nvme0n1',
  };
  return `prove=${disks.map(({ front }) => names[front]).join(',')}`;
}

function argumentsOf({ front, format, id, image }: GuestDisk, other: string | undefined): string[] {
  const kind = other === undefined && format !== 'raw' ? 'qcow2' : 'raw';
  const devices: Readonly<Record<DiskFront, string>> = {
    'virtio-blk': 'virtio-blk-pci',
    'virtio-scsi': 'scsi-hd',
    ide: 'ide-hd',
    nvme: `nvme,serial=${id}`,
  };
  const drive = `file=${other ?? image},format=${kind},if=none,id=${id},discard=unmap`;
  return ['-drive', drive, '-device', `${devices[front]},drive=${id},id=${id}-dev`];
}
