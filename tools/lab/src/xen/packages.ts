import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installPrograms } from '../apt.js';
import { cacheFolder } from './paths.js';
import { hasProgram, run } from './run.js';

/** What dom0 is made of, besides the two kernels. */
const PACKAGES = [
  'xen-hypervisor-4.17-amd64',
  'xen-utils-4.17',
  'xen-utils-common',
  'xenstore-utils',
  'libxenmisc4.17',
  'libxentoolcore1',
  'libxentoollog1',
  'libxencall1',
  'libxendevicemodel1',
  'libxenevtchn1',
  'libxenforeignmemory1',
  'libxengnttab1',
  'libxenhypfs1',
  'libxenstore4',
  'libyajl2',
  'libext2fs2',
  'libcom-err2',
  'liblzma5',
  'libuuid1',
  'libzstd1',
  'zlib1g',
  'libncurses6',
  'libtinfo6',
  'libc6',
  'libgcc-s1',
  'libstdc++6',
  'busybox-static',
  // sshd, and the libraries it is linked with.
  ...['openssh-server', 'libaudit1', 'libcap-ng0', 'libcrypt1', 'libgssapi-krb5-2', 'libkrb5-3'],
  ...['libk5crypto3', 'libkrb5support0', 'libkeyutils1', 'libpam0g', 'libselinux1', 'libpcre2-8-0'],
  ...['libssl3', 'libsystemd0', 'libwrap0', 'libnsl2', 'libtirpc3', 'libgcrypt20', 'libgpg-error0'],
  ...['liblz4-1', 'libcap2'],
];

/** Programs that the lab runs, and Debian's packages of them. */
const PROGRAMS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  gcc: 'gcc',
  xz: 'xz-utils',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
  ssh: 'openssh-client',
};

/** Installs the programs that are missing. Needs root only if one is. */
export async function installXenPrograms(): Promise<void> {
  await installPrograms(PROGRAMS);
}

/** Why the lab cannot run here, or undefined when it can. */
export function missingForXen(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the lab runs on Linux, x86-64';
  const missing = Object.keys(PROGRAMS).filter((each) => !hasProgram(each));
  if (missing.length === 0) return undefined;
  return `${missing.join(', ')} not installed (npx tsx tools/lab/src/xen/main.ts install)`;
}

function kernelOf(metaPackage: string): string {
  const depends = run('apt-cache', ['depends', metaPackage]).toString();
  const name = /Depends: (linux-image-[0-9]\S*)/.exec(depends)?.[1];
  if (!name) throw new Error(`The package list names no kernel for ${metaPackage}.`);
  return name;
}

/** The folder with the Debian packages, fetched by apt from wherever this machine is set up to; once. */
export function fetchPackages(log: (line: string) => void): string {
  const folder = cacheFolder('packages');
  const mark = join(folder, 'complete');
  const wanted = `${PACKAGES.join('\n')}\n`;
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return folder;
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  mkdirSync(join(folder, 'partial'), { recursive: true });
  try {
    run('apt-cache', ['show', 'xen-utils-4.17']);
  } catch {
    log('reading the package lists');
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', 'update', '-qq']);
  }
  log('fetching Xen, dom0 and two kernels');
  const kernels = [kernelOf('linux-image-amd64'), kernelOf('linux-image-cloud-amd64')];
  run('apt-get', ['download', '-qq', ...kernels, ...PACKAGES], { cwd: folder });
  writeFileSync(mark, wanted);
  return folder;
}

/** The package file of the given name's start. */
export function packageFile(folder: string, matches: (name: string) => boolean): string {
  const name = readdirSync(folder).find((each) => each.endsWith('.deb') && matches(each));
  if (!name) throw new Error('A package is missing from the lab cache; delete .cache/lab/xen and run again.');
  return join(folder, name);
}
