import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { installPrograms } from '../apt.js';
import { cached } from './cache.js';
import type { ArchiveFile } from './cpio.js';
import { run } from '../shell.js';

const programs: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  'mkfs.ext4': 'e2fsprogs',
  busybox: 'busybox-static',
  gcc: 'gcc',
  ld: 'binutils',
};

/** Installs, from Debian, what is missing of QEMU, its tools, busybox and the compiler. Needs root only if something is. */
export async function installQemu(): Promise<void> {
  await installPrograms(programs);
}

/** Path of Debian's kernel for virtual machines: downloaded and unpacked, not installed. */
export async function guestKernel(): Promise<string> {
  const directory = await cached('kernel', async (work) => {
    const name = await kernelPackage().catch(async () => {
      await run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', '-q', 'update']);
      return kernelPackage();
    });
    await run('apt-get', ['-o', 'APT::Sandbox::User=root', '-q', 'download', name], work);
    const archive = (await readdir(work)).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download ${name} left no package`);
    await run('dpkg', ['-x', archive, 'root'], work);
  });
  const boot = join(directory, 'root', 'boot');
  const kernel = (await readdir(boot)).find((file) => file.startsWith('vmlinuz'));
  if (kernel === undefined) throw new Error(`no kernel under ${boot}`);
  return join(boot, kernel);
}

async function kernelPackage(): Promise<string> {
  const text = await run('apt-cache', ['depends', 'linux-image-cloud-amd64']);
  const name = /Depends: (linux-image-\S+)/.exec(text)?.[1];
  if (name === undefined) throw new Error('apt knows no linux-image-cloud-amd64');
  return name;
}

/** Drivers that a virtio device on PCI needs, and a disk of that kind; in the order in which they load. */
export const VIRTIO_PCI = [
  ...['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
] as const;
export const VIRTIO_DISK = [...VIRTIO_PCI, 'virtio_blk'] as const;

/**
 * Files of an initramfs: drivers of Debian's kernel, and a program that loads them in this order and then does what
 * `then` says, a line of shell each.
 */
export async function guestDrivers(
  names: readonly string[],
  then: readonly string[] = [],
): Promise<ArchiveFile[]> {
  const modules = join(dirname(dirname(await guestKernel())), 'lib', 'modules');
  const present = await readdir(modules, { recursive: true });
  const files: ArchiveFile[] = [];
  for (const name of names) {
    const path = present.find((file) => file.endsWith(`/${name}.ko`));
    if (path === undefined) throw new Error(`the guest's kernel has no driver ${name}`);
    files.push({ path: `${name}.ko`, mode: 0o644, content: await readFile(join(modules, path)) });
  }
  const lines = ['#!/bin/busybox sh', ...names.map((name) => `insmod /${name}.ko`), ...then];
  return [...files, { path: 'extra', mode: 0o755, content: Buffer.from(`${lines.join('\n')}\n`) }];
}
