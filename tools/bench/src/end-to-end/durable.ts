import { open } from 'node:fs/promises';
import path from 'node:path';

/** Makes a file, and that it has its name, survive a crash of the host. */
export async function syncFile(file: string): Promise<void> {
  for (const name of [file, path.dirname(file)]) {
    const handle = await open(name, 'r');
    await handle.sync().finally(() => handle.close());
  }
}

/** Writes buffers to a new file, one after the other, and syncs it; gives its bytes. */
export async function writeSynced(file: string, buffers: readonly Uint8Array[]): Promise<number> {
  const handle = await open(file, 'wx');
  let bytes = 0;
  try {
    for (let from = 0; from < buffers.length; from += 512) {
      const { bytesWritten } = await handle.writev(buffers.slice(from, from + 512));
      bytes += bytesWritten;
    }
  } finally {
    await handle.close();
  }
  await syncFile(file);
  return bytes;
}
