import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  copyFileSync,
  realpathSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { packInitramfs } from './cpio.js';
import { unpackKernel } from './kernel.js';
import { packageFile, packageName, type XenRelease } from './packages.js';
import { assets } from './paths.js';
import { run } from './run.js';

const LIBRARIES = 'lib/x86_64-linux-gnu';
const LOADER = 'ld-linux-x86-64.so.2';
const SHARED_LIBRARY = /\.so(\.|$)/;
const MODULES = [
  ...['xenfs', 'xen-privcmd', 'xen-evtchn', 'xen-gntdev', 'xen-gntalloc'],
  ...['virtio', 'virtio_ring', 'virtio_pci', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev'],
  ...['9pnet', '9pnet_virtio', '9p', 'netfs', 'fscache'],
  ...['failover', 'net_failover', 'virtio_net'],
];
/** What the test guest needs for an emulated IDE disk. */
const DISK_MODULES = ['scsi_common', 'scsi_mod', 'libata', 'ata_piix', 'sd_mod'];
const FOLDERS = [
  ...[
    'bin',
    'sbin',
    'proc',
    'sys',
    'dev',
    'tmp',
    'root',
    'run',
    'host',
    'project',
    'node',
    'boot',
    'etc/xen',
    'usr/bin',
    'usr/sbin',
  ],
  ...['usr/lib64', `usr/${LIBRARIES}`, LIBRARIES, 'var/lib/xen', 'var/log/xen', 'lib/modules'],
];

/** The files that QEMU boots. */
export interface BootFiles {
  readonly hypervisor: string;
  readonly kernel: string;
  readonly initramfs: string;
}

function unpackPackages(packages: readonly string[], into: string): void {
  for (const file of packages) {
    if (!packageName(file).startsWith('linux-image')) run('dpkg-deb', ['-x', file, into]);
  }
}

/** Where a release's tools are. */
function toolsOf(xen: XenRelease): string {
  return `usr/lib/xen-${xen}`;
}

function unpackKernelPackage(file: string, into: string, patterns: string[]): void {
  mkdirSync(into, { recursive: true });
  const tar = run('dpkg-deb', ['--fsys-tarfile', file]);
  run('tar', ['-x', '-C', into, '--wildcards', ...patterns], { input: tar });
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function bootImage(folder: string): string {
  return filesBelow(join(folder, 'boot')).find((path) => basename(path).startsWith('vmlinuz-'))!;
}

function copyPrograms(unpacked: string, root: string, xen: XenRelease): void {
  // As Debian had it until usr-merge's end, and since then: of a library in both places it is the newer that counts.
  const folders = [LIBRARIES, `usr/${LIBRARIES}`];
  for (const folder of folders) {
    const loader = join(unpacked, folder, LOADER);
    if (existsSync(loader)) copyFileSync(realpathSync(loader), join(root, 'usr/lib64', LOADER));
    for (const name of readdirSync(join(unpacked, folder)).filter((each) => SHARED_LIBRARY.test(each))) {
      cpSync(join(unpacked, folder, name), join(root, 'usr', LIBRARIES, name), { verbatimSymlinks: true });
    }
  }
  const tools = toolsOf(xen);
  cpSync(join(unpacked, tools, 'bin'), join(root, tools, 'bin'), { recursive: true, verbatimSymlinks: true });
  rmSync(join(root, tools, 'bin/oxenstored'), { force: true });
  // As Debian has it; ssh gives its commands no other path.
  symlinkSync(`/${tools}/bin/xl`, join(root, 'usr/sbin/xl'));
  const libraries = join(tools, LIBRARIES);
  mkdirSync(join(root, tools, 'lib'));
  cpSync(join(unpacked, libraries), join(root, libraries), { recursive: true, verbatimSymlinks: true });
  for (const name of readdirSync(join(unpacked, 'usr/bin')).filter((each) => each.startsWith('xenstore'))) {
    cpSync(join(unpacked, 'usr/bin', name), join(root, 'usr/bin', name), { verbatimSymlinks: true });
  }
  copyFileSync(join(unpacked, 'usr/sbin/sshd'), join(root, 'usr/sbin/sshd'));
  const busybox = join(unpacked, 'bin/busybox');
  copyFileSync(busybox, join(root, 'bin/busybox'));
  for (const name of run(busybox, ['--list']).toString().trim().split('\n')) {
    if (!existsSync(join(root, 'bin', name))) symlinkSync('busybox', join(root, 'bin', name));
  }
}

/** QEMU as libxl starts it for an HVM guest, with what it reads: a BIOS, option ROMs, and keymaps even without a screen. */
function copyDeviceModel(unpacked: string, root: string, xen: XenRelease): void {
  const files = [
    'usr/libexec/xen-qemu-system-i386',
    join(toolsOf(xen), 'boot/hvmloader'),
    ...['bios-256k', 'vgabios-stdvga'].map((name) => `usr/share/seabios/${name}.bin`),
    'usr/share/qemu/keymaps',
    ...['linuxboot', 'linuxboot_dma', 'multiboot', 'kvmvapic'].map((name) => `usr/share/qemu/${name}.bin`),
  ];
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    cpSync(join(unpacked, file), join(root, file), { recursive: true, dereference: true });
  }
}

function copyModules(kernel: string, names: readonly string[], into: string): void {
  const modules = filesBelow(kernel).filter((path) => path.endsWith('.ko'));
  mkdirSync(into, { recursive: true });
  for (const name of names) {
    const file = modules.find((path) => basename(path) === `${name}.ko`);
    if (file) copyFileSync(file, join(into, `${name}.ko`));
  }
}

/** The initramfs of the test guest: one program, see assets/xen/guest.c, and the modules that it is to load. */
function guestInitramfs(work: string, kernel: string, modules: readonly string[]): Buffer {
  const root = mkdtempSync(join(work, 'guest-'));
  mkdirSync(join(root, 'dev'), { recursive: true });
  copyModules(kernel, modules, join(root, 'modules'));
  run('gcc', ['-O2', '-static', '-s', '-o', join(root, 'init'), join(assets, 'guest.c')]);
  return gzipSync(packInitramfs(root), { level: 9 });
}

/** Builds what QEMU boots, into `target`, of the packages that `fetchPackages` got; work files vanish. */
export function buildDom0(
  xen: XenRelease,
  packages: readonly string[],
  target: string,
  log: (line: string) => void,
): BootFiles {
  const work = mkdtempSync(join(target, 'work-'));
  try {
    const [unpacked, big, small, root] = ['unpacked', 'kernel', 'guest-kernel', 'root'].map((each) =>
      join(work, each),
    ) as [string, string, string, string];
    log('unpacking');
    unpackPackages(packages, unpacked);
    const isCloud = (name: string) => name.startsWith('linux-image') && name.includes('cloud');
    const modules = [
      '*/drivers/xen/*',
      '*/drivers/virtio/*',
      '*/drivers/net/virtio_net.ko',
      '*/drivers/net/net_failover.ko',
      '*/net/core/failover.ko',
      '*/net/9p/*',
      '*/fs/9p/*',
      '*/fs/netfs/*',
      '*/fs/fscache/*',
    ];
    const isStandard = (name: string) => name.startsWith('linux-image') && !isCloud(name);
    unpackKernelPackage(packageFile(packages, isStandard), big, ['./boot/vmlinuz-*', ...modules]);
    const disks = DISK_MODULES.map((name) => `*/${name}.ko`);
    unpackKernelPackage(packageFile(packages, isCloud), small, ['./boot/vmlinuz-*', ...disks]);
    log('building dom0');
    for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
    symlinkSync('/run', join(root, 'var/run'));
    symlinkSync('/run/lock', join(root, 'var/lock'));
    symlinkSync('usr/lib64', join(root, 'lib64'));
    copyPrograms(unpacked, root, xen);
    copyDeviceModel(unpacked, root, xen);
    copyModules(big, MODULES, join(root, 'lib/modules/all'));
    copyFileSync(bootImage(small), join(root, 'boot/guest-kernel'));
    writeFileSync(join(root, 'boot/guest-initramfs'), guestInitramfs(work, small, []));
    writeFileSync(join(root, 'boot/guest-initramfs-disk'), guestInitramfs(work, small, DISK_MODULES));
    copyFileSync(join(assets, 'sshd_config'), join(root, 'etc/sshd_config'));
    copyFileSync(join(assets, 'dom0-init.sh'), join(root, 'init'));
    chmodSync(join(root, 'init'), 0o755);
    writeFileSync(join(root, 'etc/xen/xl.conf'), '');
    writeFileSync(
      join(root, 'etc/passwd'),
      'root:x:0:0:root:/root:/bin/sh\nsshd:x:1:1::/run/sshd:/bin/false\n',
    );
    writeFileSync(join(root, 'etc/group'), 'root:x:0:\nsshd:x:1:\n');
    const files = bootFiles(target);
    writeFileSync(files.hypervisor, gunzipSync(readFileSync(join(unpacked, `boot/xen-${xen}-amd64.gz`))));
    writeFileSync(files.kernel, unpackKernel(bootImage(big)));
    writeFileSync(files.initramfs, packInitramfs(root));
    return files;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

export function bootFiles(target: string): BootFiles {
  return {
    hypervisor: join(target, 'xen.elf'),
    kernel: join(target, 'vmlinux'),
    initramfs: join(target, 'dom0.cpio'),
  };
}
