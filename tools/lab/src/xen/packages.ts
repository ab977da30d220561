import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { installPrograms } from '../apt.js';
import { otherApt } from '../other-release.js';
import { cacheFolder } from './paths.js';
import { hasProgram, run } from './run.js';

/** Releases of Xen that the lab boots: of this Debian, and of the next. */
export const XEN_RELEASES = ['4.17', '4.20'] as const;
export type XenRelease = (typeof XEN_RELEASES)[number];

/** Xen's libraries that have the same name in each release. */
const LIBRARIES = [
  ...['xen-utils-common', 'xenstore-utils'],
  ...[
    'toolcore1',
    'toollog1',
    'call1',
    'devicemodel1',
    'evtchn1',
    'foreignmemory1',
    'gnttab1',
    'hypfs1',
    'store4',
  ].map((name) => `libxen${name}`),
];

/** What dom0 runs beside Xen in each release: sshd, and the libraries it is linked with. */
const SHARED = [
  ...['libcom-err2', 'busybox-static'],
  ...['openssh-server', 'libaudit1', 'libcap-ng0', 'libcrypt1', 'libgssapi-krb5-2', 'libkrb5-3'],
  ...['libk5crypto3', 'libkrb5support0', 'libkeyutils1', 'libpam0g', 'libselinux1', 'libpcre2-8-0'],
  ...['libssl3', 'libsystemd0', 'libwrap0', 'libnsl2', 'libtirpc3', 'libgcrypt20', 'libgpg-error0'],
  ...['liblz4-1', 'libcap2', 'libudev1', 'libffi8'],
];

/** What the device model of HVM guests is: QEMU with its BIOS, and the libraries of the same name in each release. */
const DEVICE_MODEL = [
  ...['qemu-system-xen', 'qemu-system-data', 'seabios', 'libpixman-1-0', 'libjpeg62-turbo', 'libusb-1.0-0'],
  ...[
    'libfdt1',
    'libspice-server1',
    'libgstreamer1.0-0',
    'libgstreamer-plugins-base1.0-0',
    'libopus0',
    'libsasl2-2',
  ],
];

const SYSTEM = [
  'libyajl2',
  'liblzma5',
  'libuuid1',
  'libzstd1',
  'zlib1g',
  'libncurses6',
  'libtinfo6',
  'libc6',
  'libgcc-s1',
  'libstdc++6',
];

/** What is of a release of Xen, and of the Debian that has it. */
const PACKAGES: Readonly<Record<XenRelease, readonly string[]>> = {
  '4.17': [
    ...['xen-hypervisor-4.17-amd64', 'xen-utils-4.17', 'libxenmisc4.17', 'libext2fs2', 'libglib2.0-0'],
    ...['liborc-0.4-0', 'libdw1', 'libelf1', 'libunwind8', 'libbz2-1.0'],
    ...LIBRARIES,
    ...SYSTEM,
    ...DEVICE_MODEL,
  ],
  '4.20': [
    ...['xen-hypervisor-4.20-amd64', 'xen-utils-4.20', 'libxenmisc4.20', 'libext2fs2t64', 'libglib2.0-0t64'],
    ...['liborc-0.4-0t64', 'libatomic1', 'libxxhash0'],
    ...LIBRARIES,
    ...SYSTEM,
    ...DEVICE_MODEL,
  ],
};

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

/** The Debian packages that an image is made of, fetched by apt from wherever this machine is set up to; once. */
export async function fetchPackages(release: XenRelease, log: (line: string) => void): Promise<string[]> {
  const own = [...PACKAGES['4.17'], ...SHARED];
  const common = await fetched('packages', own, async (folder) => {
    try {
      run('apt-cache', ['show', 'xen-utils-4.17']);
    } catch {
      log('reading the package lists');
      run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', 'update', '-qq']);
    }
    log('fetching Xen, dom0 and two kernels');
    const kernels = [kernelOf('linux-image-amd64'), kernelOf('linux-image-cloud-amd64')];
    run('apt-get', ['download', '-qq', ...kernels, ...own], { cwd: folder });
  });
  if (release === '4.17') return common;
  const newer = await fetched(`packages-${release}`, PACKAGES[release], async (folder) => {
    log(`fetching Xen ${release}`);
    const apt = await otherApt('trixie', folder);
    await apt('download', ...PACKAGES[release]);
    rmSync(join(folder, 'apt'), { recursive: true });
  });
  const shared = common.filter((file) => {
    const name = packageName(file);
    return SHARED.includes(name) || name.startsWith('linux-image-');
  });
  return [...shared, ...newer];
}

/** Paths of the packages in a folder of the cache, which `fetch` fills when it does not hold those wanted. */
async function fetched(
  name: string,
  packages: readonly string[],
  fetch: (folder: string) => Promise<void>,
): Promise<string[]> {
  const folder = cacheFolder(name);
  const mark = join(folder, 'complete');
  const wanted = `${[...packages].sort().join('\n')}\n`;
  if (!existsSync(mark) || readFileSync(mark, 'utf8') !== wanted) {
    for (const each of readdirSync(folder)) rmSync(join(folder, each), { recursive: true });
    mkdirSync(join(folder, 'partial'));
    await fetch(folder);
    writeFileSync(mark, wanted);
  }
  return readdirSync(folder)
    .filter((each) => each.endsWith('.deb'))
    .sort()
    .map((each) => join(folder, each));
}

/** Of the file NAME_VERSION_ARCHITECTURE.deb. */
export function packageName(file: string): string {
  return basename(file).split('_')[0]!;
}

/** The package file whose name is such. */
export function packageFile(files: readonly string[], matches: (name: string) => boolean): string {
  const file = files.find((each) => matches(packageName(each)));
  if (!file) throw new Error('A package is missing from the lab cache; delete .cache/lab/xen and run again.');
  return file;
}
