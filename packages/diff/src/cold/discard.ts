import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

const MADV_DONTNEED = 4;

type Madvise = (bytes: Uint8Array, length: number, advice: number) => number;

let madvise: Madvise | undefined;

/**
 * Gives whole pages of shared memory back to the system: they read as zeros from then on, and take none until they are
 * written (madvise(2), MADV_DONTNEED on private anonymous memory, which is what WebAssembly memory is). WebAssembly
 * itself has no such call. Requires `canDiscard`.
 */
export function discard(bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  bind()(bytes, bytes.length, MADV_DONTNEED);
}

/** Whether this host gives memory back: tried on `page`, memory that nobody uses and that reads as zero afterwards. */
export function canDiscard(page: Uint8Array): boolean {
  if (process.platform !== 'linux') return false;
  try {
    page[0] = 1;
    discard(page);
    return page[0] === 0;
  } catch {
    return false;
  } finally {
    page[0] = 0;
  }
}

function bind(): Madvise {
  if (madvise) return madvise;
  // Loaded only where memory is to be given back, which most images never need.
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  const found = koffi.load(null).func('int madvise(void *address, size_t length, int advice)');
  return (madvise = found as unknown as Madvise);
}
