import { mkdir, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FitdocError, throwIfAborted, type OpenStoreOptions, type StoreFactory } from '@fitdoc/interface';
import { errnoOf, isMissing, storeError } from './failures.js';
import { ALL_ABILITIES, notesOn, tryAbilities, type Abilities } from './host/abilities.js';
import { hostFileSystem, nodeFileSystem, type FileSystem } from './host/file-system.js';
import { FsStore } from './fs-store.js';
import { isOpenToGroup, openToGroup } from './host/group.js';
import { Incoming } from './put/incoming.js';
import { notMounted, openToAll, requireMount, unmountedPoint } from './host/mounts.js';
import { thisProcessToken } from './host/process-token.js';

/**
 * Opens the directory at `location`, a path (relative to the working directory of the process). With `create`
 * it is made, and what is missing above it.
 */
export const storeFactory: StoreFactory = Object.freeze({
  specificationVersion: 'store-v1' as const,
  scheme: 'fs',
  async open(location: string, options: OpenStoreOptions = {}): Promise<FsStore> {
    throwIfAborted(options.signal);
    if (location === '' || location.includes('\0')) {
      throw new FitdocError('LOCATION_INVALID', 'A store in a directory needs the path of the directory.', {
        hint: 'Write fs:/path/to/directory.',
      });
    }
    const root = resolve(location);
    const config = parseConfig(options.config);
    if (config.requireMount !== undefined) await requireMount(root, config.requireMount);
    const unmounted = await unmountedPoint(root);
    if (options.create && unmounted !== undefined) throw notMounted(root, unmounted);
    try {
      if (options.create) await makeStore(root, config.group);
      await nodeFileSystem.list(root);
      return await openAt(root, options.create === true, unmounted);
    } catch (error) {
      throw openError(error, root);
    }
  },
});

/** File systems that are known to have all that the store needs; on others that is tried. */
const KNOWN: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x2fc12fc1: 'zfs',
  0x794c7630: 'overlay',
  0xf2f52010: 'f2fs',
};

async function openAt(root: string, created: boolean, unmounted: string | undefined): Promise<FsStore> {
  const fileSystem = hostFileSystem((await isOpenToGroup(root)) ? 'group' : 'owner');
  const isKnown = KNOWN[(await statfs(root)).type] !== undefined;
  const abilities = created || !isKnown ? await abilitiesOf(fileSystem, root) : ALL_ABILITIES;
  const notes = notesOn(abilities, root);
  const mode = await openToAll(root);
  if (mode !== undefined) {
    notes.push(
      `Every user of this host can read the guests' memory in ${root} (mode ${mode}): chmod -R o= ${root}`,
    );
  }
  if (unmounted !== undefined) notes.push(`${unmounted} stands in /etc/fstab and is not mounted.`);
  const files = abilities.syncsDirectories
    ? fileSystem
    : { ...fileSystem, syncDirectory: () => Promise.resolve() };
  return new FsStore(root, { fileSystem: files, abilities, notes });
}

/** Reading needs no right to write: where that is missing, nothing is tried and nothing will be stored. */
async function abilitiesOf(files: FileSystem, root: string): Promise<Abilities> {
  const incoming = new Incoming(root, files, thisProcessToken(), Date.now);
  try {
    return await tryAbilities(files, incoming, root);
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')) return ALL_ABILITIES;
    throw error;
  } finally {
    await incoming.leave();
  }
}

/** Makes the place, and lets a group in where one is asked for. */
async function makeStore(root: string, group: string | undefined): Promise<void> {
  // What is above it is made as everything else on this host is.
  const usual = { ...nodeFileSystem, makeDirectory: async (path: string) => void (await mkdir(path)) };
  await makeDirectories(usual, dirname(root));
  await makeDirectories(nodeFileSystem, root);
  if (group !== undefined) await openToGroup(root, group);
}

interface FsConfig {
  readonly group?: string;
  readonly requireMount?: string | true;
}

function parseConfig(config: Readonly<Record<string, unknown>> = {}): FsConfig {
  const { group, requireMount: mount, ...others } = config;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw configError(`A store in a directory has no setting ${unknown}.`);
  if (group !== undefined && (typeof group !== 'string' || group === ''))
    throw configError('The setting group of a store in a directory is the name of a group.');
  const isPoint = typeof mount === 'string' && mount.startsWith('/');
  if (mount !== undefined && typeof mount !== 'boolean' && !isPoint)
    throw configError('The setting requireMount of a store in a directory is true, or a mount point.');
  return {
    ...(group !== undefined && { group }),
    ...(mount !== undefined && mount !== false && { requireMount: mount }),
  };
}

function configError(message: string): FitdocError {
  return new FitdocError('CONFIG_INVALID', message, {
    hint: 'The settings are listed in the README of @fitdoc/store-fs.',
  });
}

/** Makes a directory and what is missing above it, so that it survives a crash. */
export async function makeDirectories(files: FileSystem, path: string): Promise<void> {
  try {
    await files.makeDirectory(path);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectories(files, dirname(path));
    await files.makeDirectory(path);
  }
  await files.syncDirectory(dirname(path));
}

function openError(error: unknown, root: string): unknown {
  if (errnoOf(error) === 'ENOTDIR') {
    return new FitdocError('LOCATION_INVALID', `${root} is not a directory.`, {
      cause: error,
      hint: 'Name a directory for the store.',
    });
  }
  if (isMissing(error)) {
    return new FitdocError('STORE_NOT_FOUND', `There is no directory ${root}.`, {
      cause: error,
      hint: 'Check the path, or create the store.',
    });
  }
  return storeError(error, `Opening ${root}`);
}
