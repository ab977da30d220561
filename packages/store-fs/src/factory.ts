import { dirname, resolve } from 'node:path';
import { FitdocError, throwIfAborted, type OpenStoreOptions, type StoreFactory } from '@fitdoc/interface';
import { errnoOf, isMissing, storeError } from './failures.js';
import { nodeFileSystem, type FileSystem } from './file-system.js';
import { FsStore } from './fs-store.js';

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
    try {
      if (options.create) await makeDirectories(nodeFileSystem, root);
      await nodeFileSystem.list(root);
    } catch (error) {
      throw openError(error, root);
    }
    return new FsStore(root);
  },
});

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
