import { PAGE_SIZE, type RestoreSource } from '@fitdoc/interface';
import { elfHeaders } from './elf-headers.js';
import { writeAt, writeWhole, type OutputOptions } from './partial-file.js';
import { physicalMemory } from './physical.js';
import type { ExportReport } from './raw.js';

/**
 * Writes the guest's memory as an ELF core whose segments lie at guest-physical addresses: for gdb, crash and
 * other tools that read dumps. All that the processors see of memory is in it, ROM and video memory included,
 * but no registers. Errors: as of exportRaw, and CAPABILITY_MISSING when a checkpoint does not say where its
 * memory lies.
 */
export async function exportElf(
  source: RestoreSource,
  file: string,
  options: OutputOptions = {},
): Promise<ExportReport> {
  const { ranges, elsewhere } = physicalMemory(source);
  const { bytes: headers, segments } = elfHeaders(source.info.architecture, ranges);
  const size = segments.reduce(
    (end, segment) => Math.max(end, segment.offset + segment.bytes),
    headers.length,
  );
  const regions = [...new Set(ranges.map(({ region }) => region.name))];
  let pages = 0;
  await writeWhole(file, options, async (handle) => {
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
  const notes = elsewhere.map(({ name }) => `Region ${name} lies at no address and is not in the file.`);
  return { bytes: size, pages: Math.ceil(pages), notes };
}
