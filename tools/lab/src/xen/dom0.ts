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
import { basename, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { packInitramfs } from './cpio.js';
import { unpackKernel } from './kernel.js';
import { packageFile } from './packages.js';
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
  ...[
    'usr/lib64',
    `usr/${LIBRARIES}`,
    LIBRARIES,
    'var/lib/xen',
    'var/log/xen',
    'usr/lib/xen-4.17/lib',
    'lib/modules',
  ],
];

/** The files that QEMU boots. */
export interface BootFiles {
  readonly hypervisor: string;
  readonly kernel: string;
  readonly initramfs: string;
}

function unpackPackages(packages: string, into: string): void {
  for (const name of readdirSync(packages)) {
    if (name.endsWith('.deb') && !name.startsWith('linux-image'))
      run('dpkg-deb', ['-x', join(packages, name), into]);
  }
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

function copyPrograms(unpacked: string, root: string): void {
  copyFileSync(realpathSync(join(unpacked, LIBRARIES, LOADER)), join(root, 'usr/lib64', LOADER));
  for (const folder of [LIBRARIES, `usr/${LIBRARIES}`]) {
    for (const name of readdirSync(join(unpacked, folder)).filter((each) => SHARED_LIBRARY.test(each))) {
      cpSync(join(unpacked, folder, name), join(root, 'usr', LIBRARIES, name), { verbatimSymlinks: true });
    }
  }
  const tools = 'usr/lib/xen-4.17';
  cpSync(join(unpacked, tools, 'bin'), join(root, tools, 'bin'), { recursive: true, verbatimSymlinks: true });
  rmSync(join(root, tools, 'bin/oxenstored'), { force: true });
  // As Debian has it; ssh gives its commands no other path.
  symlinkSync(`/${tools}/bin/xl`, join(root, 'usr/sbin/xl'));
  const libraries = join(tools, LIBRARIES);
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

function copyModules(kernel: string, root: string): void {
  const modules = filesBelow(kernel).filter((path) => path.endsWith('.ko'));
  mkdirSync(join(root, 'lib/modules/all'));
  for (const name of MODULES) {
    const file = modules.find((path) => basename(path) === `${name}.ko`);
    if (file) copyFileSync(file, join(root, 'lib/modules/all', `${name}.ko`));
  }
}

/** The initramfs of the test guest: one program, see assets/xen/guest.c. */
function guestInitramfs(work: string): Buffer {
  const root = join(work, 'guest');
  mkdirSync(join(root, 'dev'), { recursive: true });
  run('gcc', ['-O2', '-static', '-s', '-o', join(root, 'init'), join(assets, 'guest.c')]);
  return gzipSync(packInitramfs(root), { level: 9 });
}

/** Builds what QEMU boots, into `target`; work files vanish. Requires the packages that `fetchPackages` got. */
export function buildDom0(packages: string, target: string, log: (line: string) => void): BootFiles {
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
    unpackKernelPackage(packageFile(packages, isCloud), small, ['./boot/vmlinuz-*']);
    log('building dom0');
    for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
    symlinkSync('/run', join(root, 'var/run'));
    symlinkSync('/run/lock', join(root, 'var/lock'));
    symlinkSync('usr/lib64', join(root, 'lib64'));
    copyPrograms(unpacked, root);
    copyModules(big, root);
    copyFileSync(bootImage(small), join(root, 'boot/guest-kernel'));
    writeFileSync(join(root, 'boot/guest-initramfs'), guestInitramfs(work));
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
    writeFileSync(files.hypervisor, gunzipSync(readFileSync(join(unpacked, 'boot/xen-4.17-amd64.gz'))));
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
