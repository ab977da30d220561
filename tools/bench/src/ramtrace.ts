import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { createZstdCompressor } from '@fitdoc/codec';

/** The pages that changed in one epoch, as they are after it, in ascending page order. */
export interface TraceEpoch {
  readonly gfns: Uint32Array;
  /** 4096 bytes a page. */
  readonly pages: Uint8Array;
}

/** A recorded guest: what its pages held at first, and what changed between one stop and the next. */
export interface RamTrace {
  readonly workload: string;
  /** Pages of the guest's memory. */
  readonly memoryPages: number;
  readonly intervalSeconds: number;
  /** Every page that changes anywhere in the trace, as it was before the first epoch. */
  readonly base: TraceEpoch;
  readonly epochs: readonly TraceEpoch[];
}

interface TraceHeader {
  readonly workload: string;
  readonly pageSize: number;
  readonly memoryPages: number;
  readonly basePages: number;
  readonly epochs: readonly number[];
  readonly intervalSeconds: number;
}

const PAGE_SIZE = 4096;
const SUFFIX = '.ramtrace.zst';

/** Where recordings lie when there are any: beside the repository. */
export const traceDirectory = path.resolve(import.meta.dirname, '../../../../shared/traces');

/** The names of the recordings that are there, in alphabetical order; none is no error. */
export async function listTraces(directory: string = traceDirectory): Promise<string[]> {
  if (!existsSync(directory)) return [];
  const files = await readdir(directory);
  return files
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

/** Reads the recording `name`. Its pages are views of one buffer that holds all of it. */
export async function readTrace(name: string, directory: string = traceDirectory): Promise<RamTrace> {
  const stored = await readFile(path.join(directory, name + SUFFIX));
  const zstd = await createZstdCompressor();
  return parseTrace(zstd.decompress(stored, frameContentSize(stored)));
}

/** Reads a recording from its decompressed bytes; the layout stands in the README beside the recordings. */
export function parseTrace(bytes: Uint8Array): RamTrace {
  const headerLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(Buffer.from(bytes.subarray(4, 4 + headerLength)).toString()) as TraceHeader;
  if (header.pageSize !== PAGE_SIZE) throw new Error(`The recording has pages of ${header.pageSize} bytes.`);
  let at = 4 + headerLength;
  const take = (count: number): TraceEpoch => {
    const gfns = new Uint32Array(bytes.slice(at, at + count * 4).buffer);
    at += count * 4;
    const pages = bytes.subarray(at, at + count * PAGE_SIZE);
    at += count * PAGE_SIZE;
    if (at > bytes.length) throw new Error('The recording is cut off.');
    return { gfns, pages };
  };
  const base = take(header.basePages);
  const epochs = header.epochs.map(take);
  const { workload, memoryPages, intervalSeconds } = header;
  return { workload, memoryPages, intervalSeconds, base, epochs };
}

/** The raw size that a zstd frame's header gives (RFC 8878, section 3.1.1.1). */
function frameContentSize(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(0, true) !== 0xfd2fb528) throw new Error('The recording is no zstd frame.');
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryIdSize = [0, 1, 2, 4][descriptor & 3] as number;
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryIdSize;
  switch (descriptor >> 6) {
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    case 3:
      return Number(view.getBigUint64(at, true));
    default:
      if (singleSegment) return view.getUint8(at);
      throw new Error('The recording does not say how large it is; compress it with a known size.');
  }
}
