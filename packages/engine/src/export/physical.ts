import { FitdocError, PAGE_SIZE, type Json, type MemoryRegion, type RestoreSource } from '@fitdoc/interface';
import type { LoadSegment } from './elf-headers.js';
import { mainRegion } from './raw.js';

const GIB = 2 ** 30;

/** Where PCs of QEMU end the memory below 4 GiB, for guests that have more: `hw/i386/pc_piix.c`, `pc_q35.c`. */
const LOW_MEMORY = { q35: { above: 0xb000_0000, low: 2 * GIB }, pc: { above: 0xe000_0000, low: 3 * GIB } };

export interface PhysicalRange extends LoadSegment {
  readonly region: MemoryRegion;
}

export interface PhysicalMemory {
  readonly ranges: readonly PhysicalRange[];
  /** Regions of memory that lie at no address. */
  readonly elsewhere: readonly MemoryRegion[];
}

/**
 * Where the machine's memory lies for its processors: as the adapter recorded it, range by range or by the
 * regions' addresses, or, of checkpoints that record neither, as a PC has its only memory. CAPABILITY_MISSING
 * when that cannot be told of all of it.
 */
export function physicalMemory(source: RestoreSource): PhysicalMemory {
  const { regions, platform } = source.info;
  const mapped = mappedRanges(regions, platform['memoryMap']);
  const ranges = mapped.length > 0 ? merged(mapped) : placedRegions(source);
  const elsewhere = regions.filter(
    (region) => region.kind === 'ram' && !ranges.some((range) => range.region === region),
  );
  if (mapped.length === 0 && elsewhere.length > 0) throw unknownPlace(elsewhere);
  return { ranges, elsewhere };
}

/** Ranges of a recorded map: `{ region, offset, bytes, address }`. One that names no region's memory is left out. */
function mappedRanges(regions: readonly MemoryRegion[], map: Json | undefined): PhysicalRange[] {
  if (!Array.isArray(map)) return [];
  return map.flatMap((each) => {
    const { region: name, offset, bytes, address } = (each ?? {}) as Record<string, Json>;
    const region = regions.find((candidate) => candidate.name === name);
    if (region === undefined || ![offset, bytes, address].every(Number.isSafeInteger)) return [];
    const fits = Number(offset) + Number(bytes) <= region.pages * PAGE_SIZE;
    return fits ? range(region, Number(offset), Number(bytes), Number(address)) : [];
  });
}

/** Makes one of ranges that are consecutive both in the region and for the processors, as a hypervisor's dump does. */
function merged(ranges: readonly PhysicalRange[]): PhysicalRange[] {
  const found: PhysicalRange[] = [];
  for (const next of [...ranges].sort((a, b) => a.address - b.address)) {
    const last = found.at(-1);
    const follows =
      last?.region === next.region &&
      last.address + last.bytes === next.address &&
      last.firstByte + last.bytes === next.firstByte;
    if (follows) found[found.length - 1] = { ...last, bytes: last.bytes + next.bytes };
    else found.push(next);
  }
  return found;
}

function placedRegions(source: RestoreSource): PhysicalRange[] {
  const main = mainRegion(source);
  const known = source.info.regions.filter(({ gpa, kind }) => gpa !== undefined && kind === 'ram');
  if (known.some(({ name }) => name === main.name))
    return known.map((region) => range(region, 0, region.pages * PAGE_SIZE, Number(region.gpa)));
  if (source.info.architecture !== 'x86_64') throw unknownPlace([main]);
  const bytes = main.pages * PAGE_SIZE;
  const { machineType } = source.info.platform;
  const isQ35 = typeof machineType === 'string' && machineType.includes('q35');
  const split = isQ35 ? LOW_MEMORY.q35 : LOW_MEMORY.pc;
  if (bytes < split.above) return [range(main, 0, bytes, 0)];
  return [range(main, 0, split.low, 0), range(main, split.low, bytes - split.low, 4 * GIB)];
}

function range(region: MemoryRegion, offset: number, bytes: number, address: number): PhysicalRange {
  return { region, firstByte: region.firstGfn * PAGE_SIZE + offset, bytes, address };
}

function unknownPlace(regions: readonly MemoryRegion[]): FitdocError {
  const names = regions.map(({ name }) => name).join(', ');
  return new FitdocError(
    'CAPABILITY_MISSING',
    `The checkpoint does not say where its memory lies for the processors (${names}).`,
    { hint: 'Export it as raw, or take a checkpoint with this version of fitdoc.' },
  );
}
