import { throwIfAborted, type ByteRange } from '@fitdoc/interface';
import type { FileSystem } from './host/file-system.js';

const SLICE = 8 << 20;

/** Reads a file, or what there is of a range of it, into new memory. */
export async function readFile(
  files: FileSystem,
  path: string,
  range: ByteRange | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const file = await files.open(path);
  try {
    const { size } = await file.stat();
    const from = Math.min(range?.offset ?? 0, size);
    const bytes = new Uint8Array(Math.min(range?.length ?? size, size - from));
    let filled = 0;
    while (filled < bytes.length) {
      throwIfAborted(signal);
      const read = await file.read(bytes.subarray(filled, filled + SLICE), from + filled);
      if (read === 0) break;
      filled += read;
    }
    return filled === bytes.length ? bytes : bytes.slice(0, filled);
  } finally {
    await file.close();
  }
}
