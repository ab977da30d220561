import { existsSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib64',
  '/usr/local/lib',
  '/lib64',
];

/** Paths of the shared libraries that the direct path calls. */
export interface LibraryPaths {
  readonly control: string;
  readonly guest: string;
  readonly foreignMemory: string;
  readonly store: string;
}

/**
 * Finds Xen's libraries for the running version, or says why the direct path is not there. The functions used
 * are those of Xen 4.16 and 4.17; 4.18 replaced the one that tells a domain's state.
 */
export function findLibraries(major: number, minor: number): LibraryPaths | string {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'it needs Linux on x86-64';
  if (major !== 4 || minor < 16 || minor > 17)
    return `it knows the libraries of Xen 4.16 and 4.17, not ${major}.${minor}`;
  if (!existsSync('/dev/xen/privcmd')) return '/dev/xen/privcmd is not there';
  const find = (name: string) => FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const version = `${major}.${minor}`;
  const names = [
    `libxenctrl.so.${version}`,
    `libxenguest.so.${version}`,
    'libxenforeignmemory.so.1',
    'libxenstore.so.4',
  ];
  const [control, guest, foreignMemory, store] = names.map(find);
  if (control && guest && foreignMemory && store) return { control, guest, foreignMemory, store };
  return `${names.filter((name) => !find(name)).join(', ')} not found`;
}
