import type { RamBlock } from '../stream/layout.js';
import type { QmpClient } from '../qmp/client.js';
import { memoryShown } from './memory-tree.js';

/** Kinds of regions that a RAM block is behind. */
const MEMORY = new Set(['ram', 'rom', 'romd']);

/** A stretch of guest-physical memory: where a part of a RAM block lies for the processors. */
export interface MappedRange {
  readonly region: string;
  /** Bytes from the region's start. */
  readonly offset: number;
  readonly bytes: number;
  /** Guest-physical address. */
  readonly address: number;
}

/**
 * Where the guest's memory lies for its processors right now, in ascending order: what QEMU's own dumps hold.
 * Empty when this QEMU does not tell.
 */
export async function readMemoryMap(
  qmp: QmpClient,
  blocks: readonly RamBlock[],
  signal?: AbortSignal,
): Promise<MappedRange[]> {
  const text = await qmp
    .execute<string>('human-monitor-command', { 'command-line': 'info mtree' }, { signal })
    .catch(() => '');
  return parseMemoryMap(text, blocks);
}

/** The ranges of RAM blocks in the output of `info mtree`; those that follow each other in both are one. */
export function parseMemoryMap(text: string, blocks: readonly RamBlock[]): MappedRange[] {
  const ranges: MappedRange[] = [];
  for (const { from, to, kind, name, offset } of memoryShown(text)) {
    if (!MEMORY.has(kind)) continue;
    const range = { offset: Number(offset), bytes: Number(to - from), address: Number(from) };
    const block = blockOf(name, range.offset + range.bytes, blocks);
    if (block === undefined) continue;
    const last = ranges.at(-1);
    if (last?.region === block.name && follows(range, last))
      ranges.splice(-1, 1, { ...last, bytes: last.bytes + range.bytes });
    else ranges.push({ region: block.name, ...range });
  }
  return ranges;
}

function follows(range: Omit<MappedRange, 'region'>, { address, offset, bytes }: MappedRange): boolean {
  return range.address === address + bytes && range.offset === offset + bytes;
}

/** A block of a device is named after its bus, too: `0000:00:02.0/vga.vram`. Undefined when two could be meant. */
function blockOf(name: string, end: number, blocks: readonly RamBlock[]): RamBlock | undefined {
  const fits = blocks.filter(
    (block) => end <= block.size && (block.name === name || block.name.endsWith(`/${name}`)),
  );
  return fits.find((block) => block.name === name) ?? (fits.length === 1 ? fits[0] : undefined);
}
