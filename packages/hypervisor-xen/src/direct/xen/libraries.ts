import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StateFunctionName } from './domain-state.js';

const FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib64',
  '/usr/local/lib',
  '/lib64',
];

/**
 * The versions of Xen whose libraries are known, and what differs between them: the function that tells how a domain is.
 * 4.17 is run by the tests, 4.20 by the same ones where the lab has it. Of 4.16, 4.18 and 4.19 the declarations of every
 * function in use, the structs behind them, the numbers of operations and parameters, and the order of the toolstack's own
 * save were compared in the sources with those.
 */
const VERSIONS: Readonly<Record<string, StateFunctionName>> = {
  '4.16': 'xc_domain_getinfo',
  '4.17': 'xc_domain_getinfo',
  '4.18': 'xc_domain_getinfo_single',
  '4.19': 'xc_domain_getinfo_single',
  '4.20': 'xc_domain_getinfo_single',
};

/** What the direct path calls: paths of shared libraries, and what is special in this version of them. */
export interface XenLibraries {
  readonly control: string;
  readonly guest: string;
  readonly foreignMemory: string;
  readonly deviceModel: string;
  readonly store: string;
  readonly state: StateFunctionName;
}

/**
 * What there is of Xen's libraries for a version, or why the direct path is not there. Nothing is guessed: a version that
 * is not known is refused, even where its libraries are found.
 */
export function findLibraries(
  major: number,
  minor: number,
  exists: (path: string) => boolean = existsSync,
): XenLibraries | string {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'it needs Linux on x86-64';
  const version = `${major}.${minor}`;
  const state = Object.hasOwn(VERSIONS, version) ? VERSIONS[version] : undefined;
  if (state === undefined) {
    const known = Object.keys(VERSIONS);
    return `it knows the libraries of Xen ${known[0]} to ${known.at(-1)}, not of ${version}`;
  }
  if (!exists('/dev/xen/privcmd')) return '/dev/xen/privcmd is not there';
  const find = (name: string) => FOLDERS.map((folder) => join(folder, name)).find((path) => exists(path));
  const names = [
    `libxenctrl.so.${version}`,
    `libxenguest.so.${version}`,
    'libxenforeignmemory.so.1',
    'libxendevicemodel.so.1',
    'libxenstore.so.4',
  ];
  const [control, guest, foreignMemory, deviceModel, store] = names.map(find);
  if (control && guest && foreignMemory && deviceModel && store)
    return { control, guest, foreignMemory, deviceModel, store, state };
  return `${names.filter((name) => !find(name)).join(', ')} not found`;
}
