import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
];

/** Why the lab cannot run here, or undefined when it can. */
export function missingForXen(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the lab runs on Linux, x86-64';
  const missing = ['qemu-system-x86_64', 'gcc', 'xz', 'dpkg-deb', 'apt-get'].filter(
    (each) => !hasProgram(each),
  );
  if (missing.length > 0) return `${missing.join(', ')} not installed`;
  return undefined;
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
  if (existsSync(mark)) return folder;
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  mkdirSync(join(folder, 'partial'), { recursive: true });
  try {
    run('apt-cache', ['show', 'xen-utils-4.17']);
  } catch {
    log('reading the package lists');
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', 'update', '-qq']);
  }
  log('fetching Xen, dom0 and two kernels (about 105 MB)');
  const kernels = [kernelOf('linux-image-amd64'), kernelOf('linux-image-cloud-amd64')];
  run('apt-get', ['download', '-qq', ...kernels, ...PACKAGES], { cwd: folder });
  writeFileSync(mark, `${kernels.join('\n')}\n`);
  return folder;
}

/** The package file of the given name's start. */
export function packageFile(folder: string, matches: (name: string) => boolean): string {
  const name = readdirSync(folder).find((each) => each.endsWith('.deb') && matches(each));
  if (!name) throw new Error('A package is missing from the lab cache; delete .cache/lab/xen and run again.');
  return join(folder, name);
}
