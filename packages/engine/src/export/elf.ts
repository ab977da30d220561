import {
  FitdocError,
  PAGE_SIZE,
  type CallOptions,
  type MemoryRegion,
  type RestoreSource,
} from '@fitdoc/interface';
import { elfHeaders, type LoadSegment } from './elf-headers.js';
import { writeAt, writeWhole } from './partial-file.js';
import { mainRegion, type ExportReport } from './raw.js';

const GIB = 2 ** 30;

/** Where PCs of QEMU end the memory below 4 GiB, for guests that have more: `hw/i386/pc_piix.c`, `pc_q35.c`. */
const LOW_MEMORY = { q35: { above: 0xb000_0000, low: 2 * GIB }, pc: { above: 0xe000_0000, low: 3 * GIB } };

/**
 * Writes the guest's memory as an ELF core whose segments lie at guest-physical addresses: for gdb, crash and
 * other tools that read dumps. It has the notes that the adapter's checkpoint gives (none: no registers).
 * Errors: as of exportRaw.
 */
export async function exportElf(
  source: RestoreSource,
  file: string,
  options: CallOptions = {},
): Promise<ExportReport> {
  const ranges = physicalRanges(source);
  const { bytes: headers, segments } = elfHeaders(source.info.architecture, ranges);
  const size = segments.reduce(
    (end, segment) => Math.max(end, segment.offset + segment.bytes),
    headers.length,
  );
  const regions = [...new Set(ranges.map(({ region }) => region.name))];
  let pages = 0;
  await writeWhole(file, async (handle) => {
    await handle.truncate(size);
    await writeAt(handle, headers, 0);
    for await (const extent of source.pages({ ...options, regions })) {
      const first = extent.gfn * PAGE_SIZE;
      for (const segment of segments) {
        const start = Math.max(first, segment.firstByte);
        const end = Math.min(first + extent.bytes.length, segment.firstByte + segment.bytes);
        if (start >= end) continue;
        await writeAt(
          handle,
          extent.bytes.subarray(start - first, end - first),
          segment.offset + start - segment.firstByte,
        );
        pages += (end - start) / PAGE_SIZE;
      }
    }
  });
  return { bytes: size, pages };
}

interface PhysicalRange extends LoadSegment {
  readonly region: MemoryRegion;
}

/** Where the machine's memory lies for its processors: as the adapter recorded, or as a PC has its main memory. */
function physicalRanges(source: RestoreSource): PhysicalRange[] {
  const main = mainRegion(source);
  const known = source.info.regions.filter(({ gpa, kind }) => gpa !== undefined && kind === 'ram');
  if (known.some(({ name }) => name === main.name)) {
    return known.map((region) => range(region, 0, region.pages * PAGE_SIZE, Number(region.gpa)));
  }
  if (source.info.architecture !== 'x86_64') {
    throw new FitdocError(
      'CAPABILITY_MISSING',
      'The checkpoint does not say where its memory lies for the processors.',
      {
        hint: 'Export it as raw.',
      },
    );
  }
  const bytes = main.pages * PAGE_SIZE;
  const { machine } = source.info.platform;
  const split = typeof machine === 'string' && machine.includes('q35') ? LOW_MEMORY.q35 : LOW_MEMORY.pc;
  if (bytes < split.above) return [range(main, 0, bytes, 0)];
  return [range(main, 0, split.low, 0), range(main, split.low, bytes - split.low, 4 * GIB)];
}

function range(region: MemoryRegion, offset: number, bytes: number, address: number): PhysicalRange {
  return { region, firstByte: region.firstGfn * PAGE_SIZE + offset, bytes, address };
}
