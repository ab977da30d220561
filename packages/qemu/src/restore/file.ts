import { randomBytes } from 'node:crypto';
import { lstat, open, realpath, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  abortError,
  checkOutputPlace,
  FitdocError,
  isFitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type CallOptions,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { writeQemuStream } from '../stream/write.js';
import { diskNotes } from './notes.js';

/**
 * Writes a checkpoint as a migration stream for `-incoming "exec:cat PATH"`, behind a `head` where a container of it has
 * one. Appears complete or not at all.
 */
export async function restoreToFile(
  path: string,
  source: RestoreSource,
  options: RestoreOptions = {},
  head?: Uint8Array,
): Promise<RestoreReport> {
  if (path === '')
    throw new FitdocError('LOCATION_INVALID', 'No file is named.', { hint: 'Write a path after "file:".' });
  let pages = 0;
  await writeWhole(path, options, async (file) => {
    if (head !== undefined) await file.appendFile(head);
    await writeQemuStream(source, async (chunk) => void (await file.appendFile(chunk)), {
      ...options,
      onProgress: (progress) => {
        pages = progress.done;
        options.onProgress?.(progress);
      },
    });
  });
  const start = `Load it with the options of the original and -incoming "exec:cat ${path}".`;
  return { state: 'written', pages, notes: [start, ...diskNotes(source.info, source.disks)] };
}

/**
 * Writes main memory as a raw file, page 0 first, for QEMU to map privately (memory-backend-file, share=off,
 * and the restore setting `ramFile`). Holes stand for zero pages. Start QEMU only when it is complete.
 * ARGUMENT_INVALID where the file is there and may not be replaced.
 */
export async function writeRamFile(
  source: RestoreSource,
  path: string,
  options: CallOptions & { readonly region?: string; readonly replace?: boolean } = {},
): Promise<void> {
  const name = options.region ?? source.info.platform['mainRam'];
  const region = source.info.regions.find((candidate) => candidate.name === name);
  if (region === undefined) {
    throw new FitdocError('ARGUMENT_INVALID', `The checkpoint has no region ${JSON.stringify(name)}.`, {
      hint: `Its regions: ${source.info.regions.map((candidate) => candidate.name).join(', ')}.`,
    });
  }
  await writeWhole(path, options, async (file) => {
    await file.truncate(region.pages * PAGE_SIZE);
    const { signal, onProgress } = options;
    let done = 0;
    for await (const { gfn, bytes } of source.pages({
      ...(signal ? { signal } : {}),
      regions: [region.name],
    })) {
      await file.write(bytes, 0, bytes.length, (gfn - region.firstGfn) * PAGE_SIZE);
      done += bytes.length / PAGE_SIZE;
      onProgress?.({ phase: 'writing pages', done, total: region.pages, unit: 'pages' });
    }
  });
}

/** Writes beside `path` and puts the file in its place when it is complete and on disk. */
async function writeWhole(
  path: string,
  { signal, replace }: CallOptions & { readonly replace?: boolean },
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  throwIfAborted(signal);
  const place = await realpath(path).catch(() => path);
  checkOutputPlace(path, await lstat(place).catch(() => undefined), replace);
  const temporary = `${place}.${randomBytes(6).toString('hex')}.partial`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await write(file);
      throwIfAborted(signal);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, place);
    const directory = await open(dirname(place), 'r');
    await directory.sync().finally(() => directory.close());
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (signal?.aborted === true) throw abortError(signal);
    if (isFitdocError(error)) throw error;
    throw new FitdocError('RESTORE_FAILED', `The file ${path} could not be written.`, {
      cause: error,
      hint: 'Check that its directory exists, may be written and has room.',
    });
  }
}
