import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { writeWhole, type CheckpointSource } from '@fitdoc/engine';
import { FitdocError, throwIfAborted, type CallOptions } from '@fitdoc/interface';
import { NbdServer, type NbdExport } from '@fitdoc/nbd';
import { uriOf } from '../serve/address.js';
import { exportsOf } from '../serve/exports.js';

/** Formats that a disk is written in: raw by fitdoc itself, the others by qemu-img. */
export const DISK_FORMATS = ['raw', 'qcow2'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

interface Conversion extends CallOptions {
  readonly format: DiskFormat;
  /** Into an image or a device that is there, whatever it holds; otherwise a new file is made. */
  readonly inPlace: boolean;
  readonly replace?: boolean;
}

/**
 * Has qemu-img write a disk of a checkpoint, which it reads over NBD from here: memory stays small, however large the
 * disk. A new file appears whole or not at all; all of it is synced. Errors: CAPABILITY_MISSING (no qemu-img),
 * RESTORE_FAILED with what it says, those of reading, and those of `writeWhole`.
 */
export async function convertDisk(
  source: CheckpointSource,
  name: string,
  file: string,
  options: Conversion,
): Promise<void> {
  if (options.inPlace) {
    await served(source, name, options, (uri) => qemuImg(['-n'], uri, file, options));
    const handle = await open(file, 'r+');
    await handle.sync().finally(() => handle.close());
    return;
  }
  await writeWhole(file, options, (_, temporary) =>
    served(source, name, options, (uri) => qemuImg([], uri, temporary, options)),
  );
}

/** Serves the disk for as long as `work` takes; what went wrong with reading is the reason if it fails. */
async function served(
  source: CheckpointSource,
  name: string,
  { onProgress }: CallOptions,
  work: (uri: string) => Promise<void>,
): Promise<void> {
  const [disk] = exportsOf(source, [name]) as [NbdExport];
  const told: NbdExport = {
    ...disk,
    read: async (offset, length, call) => {
      const parts = await disk.read(offset, length, call);
      const progress = { done: offset + length, total: disk.sizeBytes, unit: 'bytes' } as const;
      onProgress?.({ phase: `writing disk ${name}`, ...progress });
      return parts;
    },
  };
  const folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-disk-'));
  const address = { path: path.join(folder, 'nbd.sock') };
  let failure: unknown;
  const server = await NbdServer.listen(address, {
    exports: [told],
    onEvent: (event) => {
      if (event.type === 'failed') failure ??= event.error;
    },
  });
  try {
    await work(uriOf(name, address));
  } catch (error) {
    throw failure ?? error;
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function qemuImg(
  more: readonly string[],
  uri: string,
  file: string,
  { format, signal }: Conversion,
): Promise<void> {
  throwIfAborted(signal);
  const args = ['convert', '-q', '-f', 'raw', '-O', format, ...more, uri, file];
  // A group of its own: Ctrl-C is for this process, which ends it and tidies up.
  const child = spawn('qemu-img', args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-4096)));
  const stop = (): boolean => child.kill('SIGKILL');
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const [code] = (await once(child, 'close').catch(noProgram)) as [number | null];
    throwIfAborted(signal);
    if (code !== 0) throw refused(file, said.trim());
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function refused(file: string, said: string): FitdocError {
  return new FitdocError('RESTORE_FAILED', `qemu-img cannot write ${file}: ${said}.`, {
    hint: 'Whatever it says is in the way has to go; then run the same command again.',
  });
}

function noProgram(error: unknown): never {
  throw new FitdocError('CAPABILITY_MISSING', 'There is no qemu-img here to write the disk.', {
    cause: error,
    hint: 'Install QEMU’s tools (qemu-utils, qemu-img), or write a new file as raw.',
  });
}
