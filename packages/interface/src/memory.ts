/** Bytes in a page: the unit in which hypervisors track dirty memory. */
export const PAGE_SIZE = 4096;
/** Bytes in a word: the unit in which fitdoc stores changes. */
export const WORD_SIZE = 8;
/** Words in a page. */
export const WORDS_PER_PAGE = 512;
/** Bytes of a page's change mask: one bit a word. */
export const MASK_SIZE = 64;
/** The largest number of pages a machine may have (4 TiB of guest memory). */
export const MAX_PAGES = 2 ** 30;

/**
 * A guest page number: an index into all pages of a machine's regions, numbered through from 0 in the order
 * of the regions. It is not a physical address; a region's `gpa` gives that where it is known.
 */
export type Gfn = number;

/** `count` consecutive pages from `start`. */
export interface PageRun {
  readonly start: Gfn;
  readonly count: number;
}

/** What a region holds. A `rom` region is written by a restore like any other. */
export type RegionKind = 'ram' | 'rom' | 'device';

/**
 * A named, contiguous part of a machine's memory: a RAM block of QEMU, the pfn space of a Xen domain.
 * Regions are listed in ascending `firstGfn` without gaps or overlap; the first starts at 0.
 */
export interface MemoryRegion {
  readonly name: string;
  readonly firstGfn: Gfn;
  readonly pages: number;
  readonly kind: RegionKind;
  /** Guest-physical address of the region's first byte, where the hypervisor told. */
  readonly gpa?: bigint;
}

/** Number of pages in all regions together. */
export function totalPages(regions: readonly MemoryRegion[]): number {
  const last = regions.at(-1);
  return last ? last.firstGfn + last.pages : 0;
}

/** The region that holds `gfn`, or undefined when it lies beyond the last. */
export function regionOf(regions: readonly MemoryRegion[], gfn: Gfn): MemoryRegion | undefined {
  return regions.find((region) => gfn >= region.firstGfn && gfn < region.firstGfn + region.pages);
}
