import type { FileHandle } from 'node:fs/promises';
import {
  FitdocError,
  PAGE_SIZE,
  type CallOptions,
  type MachineInfo,
  type MemoryRegion,
  type RestoreSource,
} from '@fitdoc/interface';
import { DirectFile } from './direct-file.js';
import { WriteBehind, writeWhole, type OutputOptions } from './partial-file.js';

export interface ExportReport {
  /** Size of the file, bytes. */
  readonly bytes: number;
  /** Pages written; all others are zero, and holes in the file. */
  readonly pages: number;
  /** What people should know of the file: memory that is not in it. */
  readonly notes: readonly string[];
}

/** The region that is the guest's main memory: as the adapter says, or else the largest. */
export function mainRegion(source: RestoreSource): MemoryRegion {
  return mainRegionOf(source.info);
}

/** `mainRegion` of what is known of a machine. MACHINE_INCOMPATIBLE where it has no memory. */
export function mainRegionOf({ regions, platform }: MachineInfo): MemoryRegion {
  const named = regions.find((region) => region.name === platform['mainRam']);
  const largest = [...regions].sort((a, b) => b.pages - a.pages)[0];
  const region = named ?? largest;
  if (!region) throw new FitdocError('MACHINE_INCOMPATIBLE', 'The checkpoint has no memory.');
  return region;
}

/** A source whose reader can have the pages written without handing them out. */
interface SelfWriting extends RestoreSource {
  writeRegion(region: MemoryRegion, file: DirectFile, options: CallOptions): Promise<number | undefined>;
}

/**
 * Writes the guest's main memory to `file`, page 0 first, and syncs it. Zero pages are holes. Errors: those of
 * reading, ARGUMENT_INVALID where the file is there and may not be replaced, STORE_FULL, STORE_DENIED.
 */
export async function exportRaw(
  source: RestoreSource | SelfWriting,
  file: string,
  options: OutputOptions = {},
): Promise<ExportReport> {
  const region = mainRegion(source);
  const bytes = region.pages * PAGE_SIZE;
  let pages: number | undefined;
  await writeWhole(file, options, async (handle) => {
    await handle.truncate(bytes);
    if ('writeRegion' in source) pages = await writeItself(source, region, handle, options);
    pages ??= await writeExtents(source, region, handle, options);
  });
  const others = source.info.regions.filter((each) => each.kind === 'ram' && each !== region);
  const notes = others.map(({ name }) => `Region ${name} is not in the file: raw has ${region.name} only.`);
  return { bytes, pages: pages ?? 0, notes };
}

async function writeItself(
  source: SelfWriting,
  region: MemoryRegion,
  handle: FileHandle,
  options: CallOptions,
): Promise<number | undefined> {
  const direct = await DirectFile.of(handle);
  try {
    return await source.writeRegion(region, direct, options);
  } finally {
    await direct.close();
  }
}

async function writeExtents(
  source: RestoreSource,
  region: MemoryRegion,
  handle: FileHandle,
  options: CallOptions,
): Promise<number> {
  let pages = 0;
  const behind = new WriteBehind(handle);
  try {
    for await (const extent of source.pages({ ...options, regions: [region.name] })) {
      await behind.write(extent.bytes, (extent.gfn - region.firstGfn) * PAGE_SIZE);
      pages += extent.bytes.length / PAGE_SIZE;
    }
  } finally {
    await behind.finish();
  }
  return pages;
}
