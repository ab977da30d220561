import { readFile } from 'node:fs/promises';
import { FitdocError, MAX_PAGES, PAGE_SIZE } from '@fitdoc/interface';
import { refuse, unpack } from './zstd.js';

/** Pages of a recording: `gfns[i]` holds the i-th 4096 bytes of `bytes`. */
export interface TracePages {
  readonly gfns: Uint32Array;
  readonly bytes: Uint8Array;
}

/** A recording of a guest's memory, unpacked. */
export interface Trace {
  readonly workload: string;
  readonly memoryPages: number;
  readonly intervalSeconds: number;
  /** Every page that the recording knows, as it was before the first epoch. */
  readonly base: TracePages;
  /** The pages that each epoch changed, as they were after it. */
  readonly epochs: readonly TracePages[];
}

interface Header {
  readonly format: string;
  readonly workload: string;
  readonly pageSize: number;
  readonly memoryPages: number;
  readonly basePages: number;
  readonly epochs: readonly number[];
  readonly intervalSeconds: number;
}

/** Reads a `.ramtrace.zst` file whole. Errors: MACHINE_NOT_FOUND (no such file), LOCATION_INVALID. */
export async function readTrace(file: string, signal?: AbortSignal): Promise<Trace> {
  let packed: Uint8Array;
  try {
    packed = await readFile(file, signal ? { signal } : {});
  } catch (cause) {
    throw new FitdocError('MACHINE_NOT_FOUND', `The recording "${file}" cannot be read.`, {
      cause,
      hint: 'Check the path in mock:trace:PATH.',
    });
  }
  return parseTrace(await unpack(packed, file), file);
}

/** Takes an unpacked recording apart, without copying its pages. Errors: LOCATION_INVALID. */
export function parseTrace(bytes: Uint8Array, file: string): Trace {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length < 4 ? 0 : view.getUint32(0, true);
  if (length === 0 || 4 + length > bytes.length) throw refuse(file, 'it is too short');
  const header = parseHeader(bytes.subarray(4, 4 + length), file);
  let at = 4 + length;
  const take = (pages: number): TracePages => {
    const end = at + pages * (4 + PAGE_SIZE);
    if (end > bytes.length) throw refuse(file, 'it ends in the middle of an epoch');
    const gfns = Uint32Array.from({ length: pages }, (_, i) => view.getUint32(at + 4 * i, true));
    if (gfns.some((gfn) => gfn >= header.memoryPages)) throw refuse(file, 'it has pages beyond its memory');
    const part = { gfns, bytes: bytes.subarray(at + 4 * pages, end) };
    at = end;
    return part;
  };
  const base = take(header.basePages);
  const epochs = header.epochs.map(take);
  if (at !== bytes.length) throw refuse(file, `${bytes.length - at} bytes follow its last epoch`);
  const { workload, memoryPages, intervalSeconds } = header;
  return { workload, memoryPages, intervalSeconds, base, epochs };
}

function parseHeader(bytes: Uint8Array, file: string): Header {
  let header: Partial<Header> | null;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Header> | null;
  } catch (cause) {
    throw refuse(file, 'its header is no JSON', cause);
  }
  const count = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const { memoryPages = 0, basePages, epochs } = header ?? {};
  const fits = count(memoryPages) && memoryPages > 0 && memoryPages <= MAX_PAGES && count(basePages);
  if (header?.format !== 'ram-trace-v1' || header.pageSize !== PAGE_SIZE || !fits) {
    throw refuse(file, 'its header is none of a ram-trace-v1 with pages of 4096 bytes');
  }
  if (!Array.isArray(epochs) || !epochs.every(count)) throw refuse(file, 'its header lists no epochs');
  return { workload: 'unknown', intervalSeconds: 0, ...header } as Header;
}
