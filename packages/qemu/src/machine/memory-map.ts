import type { RamBlock } from '../stream/layout.js';
import type { QmpClient } from '../qmp/client.js';

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
    .execute<string>('human-monitor-command', { 'command-line': 'info mtree -f' }, { signal })
    .catch(() => '');
  return parseMemoryMap(text, blocks);
}

/** Reads the flat view of the address space "memory" in the output of `info mtree -f`. */
export function parseMemoryMap(text: string, blocks: readonly RamBlock[]): MappedRange[] {
  const view = text.split(/^FlatView #/m).find((each) => /^ AS "memory"/m.test(each)) ?? '';
  const line =
    /^ {2}([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:ram|rom|romd)\): (.+?)(?: @([0-9a-f]{16}))?(?: KVM)?$/gm;
  const ranges: MappedRange[] = [];
  for (const [, from, to, name, offset = '0'] of view.matchAll(line)) {
    const address = Number(BigInt(`0x${from}`));
    const bytes = Number(BigInt(`0x${to}`)) + 1 - address;
    const range = { offset: Number(BigInt(`0x${offset}`)), bytes, address };
    const block = blockOf(name!, range.offset + bytes, blocks);
    if (block !== undefined) ranges.push({ region: block.name, ...range });
  }
  return ranges;
}

/** A block of a device is named after its bus, too: `0000:00:02.0/vga.vram`. Undefined when two could be meant. */
function blockOf(name: string, end: number, blocks: readonly RamBlock[]): RamBlock | undefined {
  const fits = blocks.filter(
    (block) => end <= block.size && (block.name === name || block.name.endsWith(`/${name}`)),
  );
  return fits.find((block) => block.name === name) ?? (fits.length === 1 ? fits[0] : undefined);
}
