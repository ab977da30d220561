import {
  FitdocError,
  PAGE_SIZE,
  type CallOptions,
  type MemoryRegion,
  type RestoreSource,
} from '@fitdoc/interface';
import { WriteBehind, writeWhole } from './partial-file.js';

export interface ExportReport {
  /** Size of the file, bytes. */
  readonly bytes: number;
  /** Pages written; all others are zero, and holes in the file. */
  readonly pages: number;
}

/** The region that is the guest's main memory: as the adapter says, or else the largest. */
export function mainRegion(source: RestoreSource): MemoryRegion {
  const { regions, platform } = source.info;
  const named = regions.find((region) => region.name === platform['mainRam']);
  const largest = [...regions].sort((a, b) => b.pages - a.pages)[0];
  const region = named ?? largest;
  if (!region) throw new FitdocError('MACHINE_INCOMPATIBLE', 'The checkpoint has no memory.');
  return region;
}

/**
 * Writes the guest's main memory to `file`, page 0 first, and syncs it. Zero pages are holes. Errors: those of
 * reading, and STORE_FULL, STORE_DENIED.
 */
export async function exportRaw(
  source: RestoreSource,
  file: string,
  options: CallOptions = {},
): Promise<ExportReport> {
  const region = mainRegion(source);
  const bytes = region.pages * PAGE_SIZE;
  let pages = 0;
  await writeWhole(file, async (handle) => {
    await handle.truncate(bytes);
    const behind = new WriteBehind(handle);
    try {
      for await (const extent of source.pages({ ...options, regions: [region.name] })) {
        await behind.write(extent.bytes, (extent.gfn - region.firstGfn) * PAGE_SIZE);
        pages += extent.bytes.length / PAGE_SIZE;
      }
    } finally {
      await behind.finish();
    }
  });
  return { bytes, pages };
}
