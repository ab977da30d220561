import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory, cached } from './cache.js';
import { otherApt } from '../other-release.js';
import { run } from '../shell.js';

/** Releases of Debian whose QEMUs are tested beside the system's own. */
export const OTHER_RELEASES = ['trixie', 'sid'] as const;
export type Release = (typeof OTHER_RELEASES)[number];

/** A QEMU in a root of its own. */
export interface OtherQemu {
  /** Starts it, with the same process id, and with the libraries and firmware of its release. */
  readonly program: string;
  /** As it says itself: `10.0.13`. */
  readonly version: string;
  /** Where its release keeps UEFI for virtual machines. */
  readonly firmware: string;
}

const WANTED = ['qemu-system-x86', 'seabios', 'ovmf'];
/** Of all that apt would install with them: what is loaded when a guest runs. */
const UNPACKED = /^(lib|qemu-|seabios$|ovmf$|ipxe-qemu$)/;
const UNUSED = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/perl', 'usr/lib/python3'];

/** A QEMU that `installRelease` has put there; undefined when it has not. */
export async function otherQemu(release: Release): Promise<OtherQemu | undefined> {
  const directory = join(cacheDirectory, `qemu-${release}`);
  if (!existsSync(directory)) return undefined;
  const version = await readFile(join(directory, 'version'), 'utf8');
  const firmware = join(directory, 'root', 'usr', 'share', 'OVMF');
  return { program: join(directory, 'qemu-system-x86_64'), version, firmware };
}

/**
 * Unpacks a release's QEMU, with what it needs, into a root of its own: nothing is installed, no package's
 * script is run. The packages come from where this system's own do; its lists and cache are left alone.
 */
export async function installRelease(release: Release): Promise<OtherQemu> {
  await cached(`qemu-${release}`, async (work) => {
    await unpack(release, work);
    const program = join(work, 'qemu-system-x86_64');
    await writeFile(program, launcher(await loader(join(work, 'root'))));
    await chmod(program, 0o755);
    const told = await run(program, ['--version']);
    const version = /version (\d+\.\d+\.\d+)/.exec(told)?.[1];
    if (version === undefined) throw new Error(`no version in "${told}"`);
    await writeFile(join(work, 'version'), version);
  });
  return (await otherQemu(release))!;
}

async function unpack(release: Release, work: string): Promise<void> {
  const apt = await otherApt(release, work);
  const plan = await apt('install', '--simulate', ...WANTED);
  const names = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!);
  await apt('download', ...names.filter((name) => UNPACKED.test(name)));
  const root = join(work, 'root');
  // Packages of releases before usr-merge's end name both /lib and /usr/lib.
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', folder), { recursive: true });
    await run('ln', ['-s', `usr/${folder}`, join(root, folder)]);
  }
  const unpackOne = 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner';
  for (const file of await readdir(work)) {
    if (!file.endsWith('.deb')) continue;
    await run('bash', ['-o', 'pipefail', '-c', unpackOne, 'unpack', join(work, file), root]);
    await rm(join(work, file));
  }
  for (const folder of UNUSED) await rm(join(root, folder), { recursive: true, force: true });
  await rm(join(work, 'apt'), { recursive: true });
}

async function loader(root: string): Promise<string> {
  const name = (await readdir(join(root, 'usr', 'lib64'))).find((file) => file.startsWith('ld-linux'));
  if (name === undefined) throw new Error(`no program loader under ${root}`);
  return name;
}

/** The release's loader runs it, so that no right to change its root is needed and every path means what it does outside. */
function launcher(loaderName: string): string {
  return `#!/bin/sh
root=$(dirname "$0")/root/usr
lib=$root/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR=$lib/qemu
exec "$root/lib64/${loaderName}" --library-path "$lib" --argv0 "$0" "$root/bin/qemu-system-x86_64" \\
  -L "$root/share/qemu" -L "$root/share/seabios" -L "$root/lib/ipxe/qemu" "$@"
`;
}
