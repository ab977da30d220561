import { dirname } from 'node:path';
import { isFitdocError, throwIfAborted, type DeleteFailure } from '@fitdoc/interface';
import { isMissing } from './failures.js';
import type { FileSystem } from './host/file-system.js';

interface Doomed {
  readonly key: string;
  readonly path: string;
}

/** Unlinks files in their order and then syncs each of their directories, however many went of it. */
export async function unlinkAll(
  files: FileSystem,
  doomed: readonly Doomed[],
  signal: AbortSignal,
  asStoreError: (error: unknown, key: string) => unknown,
): Promise<DeleteFailure[]> {
  const failures: DeleteFailure[] = [];
  for (const { key, path } of doomed) {
    throwIfAborted(signal);
    await files.unlink(path).catch((error: unknown) => {
      if (isMissing(error)) return;
      const failure = asStoreError(error, key);
      if (!isFitdocError(failure)) throw failure;
      failures.push({ key, error: failure });
    });
  }
  for (const directory of new Set(doomed.map(({ path }) => dirname(path)))) {
    await files.syncDirectory(directory).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }
  return failures;
}
