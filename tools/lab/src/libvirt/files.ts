import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  buildColoShim,
  buildFirmware,
  buildInitramfs,
  guestDrivers,
  guestKernel,
  VIRTIO_DISK,
  type ArchiveFile,
  type FirmwareHeart,
} from '../qemu/index.js';
import type { DomainOptions } from './domains.js';

// What is on the disk is always what memory says was written last, or one of the two is of another moment.
const DISK_PROOF = `
disk() { dd if=/dev/vda iflag=direct bs=4096 count=1 2>/dev/null | head -c 8; }
beat() { printf '%-4095s\\n' "$1" >/tmp/block; dd if=/tmp/block of=/dev/vda oflag=direct bs=4096 count=1 2>/dev/null; }
prove() {
  n=10000000; beat $n
  while :; do
    read=$(disk)
    [ "$read" = "$n" ] && echo "DB $n OK" || echo "DB $n CORRUPT $read"
    n=$((n + 1)); beat $n; sleep 0.1
  done
}
[ -b /dev/vda ] && prove &
`;

/** What a domain boots, as elements of `<os>`, and its files. */
export async function bootElements(
  directory: string,
  guest: DomainOptions['guest'],
  firmwareHeart: FirmwareHeart = {},
): Promise<string> {
  // Copies, for what the lab has built lies in a folder that only its owner enters.
  const copy = async (from: string, name: string): Promise<string> => {
    await copyFile(from, join(directory, name));
    await chmod(join(directory, name), 0o644);
    return join(directory, name);
  };
  if (guest !== 'linux') {
    const firmware = await copy(await buildFirmware(firmwareHeart), 'firmware.bin');
    return `<loader readonly='yes' type='rom'>${firmware}</loader>`;
  }
  const kernel = await copy(await guestKernel(), 'kernel');
  const initramfs = await copy(await buildInitramfs(await guestWithDisk()), 'initramfs');
  const heart = 'heart.workers=1 heart.mib=16 heart.pages=200 heart.ms=100';
  const line = `console=ttyS0 quiet loglevel=1 panic=1 random.trust_cpu=on ${heart}`;
  return `<kernel>${kernel}</kernel><initrd>${initramfs}</initrd><cmdline>${line}</cmdline>`;
}

/**
 * A program that starts QEMU with 8 KiB of memory more than the whole MiB that libvirt gives it, and with what COLO
 * needs under software emulation: there, QEMU before 9.0 loses dirty pages of memories that are a multiple of 256 KiB.
 */
export async function emulatorWithMemoryBeyondMib(directory: string, qemu: string): Promise<string> {
  const shim = join(directory, 'shim.so');
  await copyFile(await buildColoShim(), shim);
  await chmod(shim, 0o755);
  const path = join(directory, 'emulator');
  await writeFile(
    path,
    `#!/bin/bash
args=()
previous=
for arg in "$@"; do
  if [ "$previous" = -m ]; then
    if [[ $arg =~ ^[0-9]+$ ]]; then arg="$((arg * 1024 + 8))K"
    elif [[ $arg =~ ^size=([0-9]+)k$ ]]; then arg="size=$((BASH_REMATCH[1] + 8))k"; fi
  elif [[ $arg =~ ^(.*\\"id\\":\\"pc\\.ram\\",\\"size\\":)([0-9]+)(.*)$ ]]; then
    arg="\${BASH_REMATCH[1]}$((BASH_REMATCH[2] + 8192))\${BASH_REMATCH[3]}"
  fi
  previous=$arg
  args+=("$arg")
done
export LD_PRELOAD=${shim}
exec ${qemu} "\${args[@]}"
`,
  );
  await chmod(path, 0o755);
  return path;
}

/** Drivers for the disk, and beside the memory's proof one of the disk. */
async function guestWithDisk(): Promise<ArchiveFile[]> {
  const files = await guestDrivers(VIRTIO_DISK);
  return files.map((file) =>
    file.path === 'extra'
      ? { ...file, content: Buffer.concat([file.content!, Buffer.from(DISK_PROOF)]) }
      : file,
  );
}
