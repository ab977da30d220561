import { PAGE_SIZE, type MachineInfo } from '@fitdoc/interface';

const HEADER = 64;
const PROGRAM_HEADER = 56;
const ET_CORE = 4;
const PT_LOAD = 1;
const MACHINES: Readonly<Record<MachineInfo['architecture'], number>> = {
  x86_64: 62,
  aarch64: 183,
  riscv64: 243,
};

/** A stretch of guest memory that is consecutive for the processors. */
export interface LoadSegment {
  /** First byte among all pages of the machine (gfn × 4096). */
  readonly firstByte: number;
  readonly bytes: number;
  /** Guest-physical address. */
  readonly address: number;
}

export interface PlacedSegment extends LoadSegment {
  /** Where it lies in the file. */
  readonly offset: number;
}

/** ELF-64 header and program headers of a core with these segments (System V ABI, chapters 4 and 5). */
export function elfHeaders(
  architecture: MachineInfo['architecture'],
  ranges: readonly LoadSegment[],
): { readonly bytes: Uint8Array; readonly segments: readonly PlacedSegment[] } {
  const length = HEADER + ranges.length * PROGRAM_HEADER;
  let offset = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
  const segments = ranges.map((range) => {
    const placed = { ...range, offset };
    offset += range.bytes;
    return placed;
  });
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  // Class 64-bit, little-endian, version 1.
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, ET_CORE, true);
  view.setUint16(18, MACHINES[architecture], true);
  view.setUint32(20, 1, true);
  view.setBigUint64(32, BigInt(HEADER), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, segments.length, true);
  segments.forEach((segment, index) => programHeader(view, HEADER + index * PROGRAM_HEADER, segment));
  return { bytes, segments };
}

/** Virtual addresses are the physical ones, so that gdb reads guest-physical memory as it stands. */
function programHeader(view: DataView, at: number, segment: PlacedSegment): void {
  const words = [segment.offset, segment.address, segment.address, segment.bytes, segment.bytes, PAGE_SIZE];
  view.setUint32(at, PT_LOAD, true);
  view.setUint32(at + 4, 6, true);
  words.forEach((word, index) => view.setBigUint64(at + 8 + index * 8, BigInt(word), true));
}
