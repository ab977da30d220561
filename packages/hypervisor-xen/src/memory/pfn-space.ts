import { FitdocError, PAGE_SIZE, totalPages, type MemoryRegion } from '@fitdoc/interface';

/** 4 GiB in pages: where the memory goes on that the hole below it displaced. */
const FOUR_GIB = 0x100000;
/** Where libxl starts the hole of PVH and HVM guests at the latest (HVM's may start lower: mmio_hole). */
const HOLE_START = 0xf0000;
/** ACPI tables and firmware pages of PVH guests, as Xen 4.17 places them, with room to spare. */
const FIRMWARE = { start: 0xfc000, pages: 64 };
/** The same of HVM guests, whose hvmloader puts a TSS behind it. */
const HVM_FIRMWARE_PAGES = 272;
/**
 * Where hvmloader begins to place what devices have of memory, the largest first: a screen's memory lies before or
 * behind the platform device's 16 MiB.
 */
const DEVICES = { start: 0xf0000, pages: 0x1000 };
/** Xenstore, console, ioreq and other rings, as Xen 4.17 places them, with room to spare. */
const SPECIAL = { start: 0xfefe0, pages: 32 };

/** What the layout of a domain's memory follows from. */
export interface MemoryShape {
  readonly guestType: 'pv' | 'pvh' | 'hvm';
  /** The most memory that the domain can have, KiB (libxl's max_memkb). */
  readonly maxMemoryKiB: number;
  /** Memory of the emulated screen, a part of `maxMemoryKiB` (libxl's video_memkb). Default 0. */
  readonly videoKiB?: number;
}

function region(name: string, firstGfn: number, pages: number, pfn: number): MemoryRegion {
  const kind = name === 'special' ? 'device' : 'ram';
  return { name, firstGfn, pages, kind, gpa: BigInt(pfn) * BigInt(PAGE_SIZE) };
}

/**
 * The regions of a domain: its pfn space with the large holes left out, so that the pages of an 80 MiB guest
 * are 20,576 and not the million that its highest pfn suggests. A page outside of them is no error (see
 * `PfnSpace.gfnOf`).
 */
export function regionsFor(shape: MemoryShape): MemoryRegion[] {
  const { guestType, videoKiB = 0 } = shape;
  if (guestType !== 'hvm') return layOut(shape, { firmware: FIRMWARE.pages, video: 0 });
  const screen = Math.ceil((videoKiB * 1024) / PAGE_SIZE);
  const video = screen === 0 ? 0 : Math.min(screen + DEVICES.pages, FIRMWARE.start - DEVICES.start);
  return layOut(shape, { firmware: HVM_FIRMWARE_PAGES, video });
}

/** The regions that the first version gave HVM guests: what it captured can be restored. */
export function formerRegionsFor(shape: MemoryShape): MemoryRegion[] {
  return layOut(shape, { firmware: FIRMWARE.pages, video: 0 });
}

function layOut(
  shape: MemoryShape,
  sizes: { readonly firmware: number; readonly video: number },
): MemoryRegion[] {
  const pages = Math.ceil((shape.maxMemoryKiB * 1024) / PAGE_SIZE);
  if (shape.guestType === 'pv') return [region('ram', 0, pages, 0)];
  const low = Math.min(pages, HOLE_START);
  const regions = [region('ram', 0, low, 0)];
  const add = (name: string, count: number, pfn: number) =>
    regions.push(region(name, totalPages(regions), count, pfn));
  if (sizes.video > 0) add('video', sizes.video, DEVICES.start);
  add('firmware', sizes.firmware, FIRMWARE.start);
  add('special', SPECIAL.pages, SPECIAL.start);
  // A hole that starts lower moves memory up: leave room for it above 4 GiB.
  const high = pages - low + (shape.guestType === 'hvm' && pages > 0x80000 ? HOLE_START - 0x80000 : 0);
  if (high > 0) add('high', high, FOUR_GIB);
  return regions;
}

interface Span {
  readonly pfn: number;
  readonly gfn: number;
  readonly pages: number;
}

/** Translates between pfns and gfns. Both ascend together. */
export class PfnSpace {
  readonly #spans: readonly Span[];

  /** Requires regions that all have a page-aligned `gpa`, ascending, as `regionsFor` makes them. */
  constructor(regions: readonly MemoryRegion[]) {
    this.#spans = regions.map((each) => {
      if (each.gpa === undefined) {
        throw new FitdocError('MACHINE_INCOMPATIBLE', `Region ${each.name} has no guest-physical address.`, {
          hint: 'Only a checkpoint of a Xen domain can be used here.',
        });
      }
      return { pfn: Number(each.gpa / BigInt(PAGE_SIZE)), gfn: each.firstGfn, pages: each.pages };
    });
  }

  /** The gfn of a pfn, or -1 where no region holds it. */
  gfnOf(pfn: number): number {
    for (const span of this.#spans) {
      if (pfn >= span.pfn && pfn < span.pfn + span.pages) return span.gfn + pfn - span.pfn;
    }
    return -1;
  }

  /** How many of `count` pfns from `pfn` lie in the same region (or in none) as `pfn` does. */
  contiguous(pfn: number, count: number): number {
    let end = pfn + count;
    for (const span of this.#spans) {
      if (pfn >= span.pfn && pfn < span.pfn + span.pages) return Math.min(count, span.pfn + span.pages - pfn);
      if (span.pfn > pfn) end = Math.min(end, span.pfn);
    }
    return end - pfn;
  }

  /** The pfn of a gfn; requires one within the regions. */
  pfnOf(gfn: number): number {
    for (const span of this.#spans) {
      if (gfn >= span.gfn && gfn < span.gfn + span.pages) return span.pfn + gfn - span.gfn;
    }
    throw new FitdocError('ARGUMENT_INVALID', `Page ${gfn} lies beyond the machine's memory.`);
  }
}
