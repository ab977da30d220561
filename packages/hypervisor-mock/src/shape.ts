import { FitdocError, PAGE_SIZE, type MemoryRegion } from '@fitdoc/interface';
import type { Settings, WorkloadName } from './settings.js';

/** What a mock machine is, fixed at its boot and kept in its device state. */
export interface Shape {
  /** `trace` plays no seeded workload but a recording. */
  readonly workload: WorkloadName | 'trace';
  readonly seed: number;
  /** Bytes of main memory. */
  readonly memory: number;
  /** Bytes that hold something after the boot. */
  readonly resident: number;
  /** Bytes that the workload writes to, again and again. */
  readonly working: number;
  /** Dirty pages a step. */
  readonly rate: number;
  /** Mean pages in a run of dirty pages. */
  readonly cluster: number;
  /** Mean changed words of a changed page. */
  readonly words: number;
  /** Share of the dirty pages that are written with what they hold. */
  readonly rewrites: number;
  /** Writable disks. */
  readonly disks: number;
}

type Defaults = Pick<Shape, 'rate' | 'cluster' | 'words' | 'rewrites'>;
const DEFAULTS: Readonly<Record<WorkloadName, Defaults>> = {
  idle: { rate: 24, cluster: 1, words: 8, rewrites: 0.2 },
  kv: { rate: 800, cluster: 2, words: 72, rewrites: 0.05 },
  database: { rate: 1600, cluster: 4, words: 230, rewrites: 0.05 },
  compiler: { rate: 1500, cluster: 24, words: 256, rewrites: 0.05 },
  stencil: { rate: 4096, cluster: 512, words: 512, rewrites: 0 },
  random: { rate: 1000, cluster: 1, words: 64, rewrites: 0 },
};
const MEBIBYTE = 2 ** 20;

/** Settles what the query left open. A working set beyond the memory: LOCATION_INVALID. */
export function shapeOf(settings: Settings): Shape {
  const workload = (settings.workload ?? 'kv') as WorkloadName;
  const number = (name: keyof Settings, fallback: number) => (settings[name] ?? fallback) as number;
  const memory = number('memory', 256 * MEBIBYTE);
  const resident = Math.min(number('resident', Math.min(memory, 64 * MEBIBYTE)), memory);
  const working = number('working', Math.max(64 * PAGE_SIZE, Math.min(memory / 2, resident, 64 * MEBIBYTE)));
  if (working + KERNEL_PAGES * PAGE_SIZE > memory) {
    throw new FitdocError(
      'LOCATION_INVALID',
      'The working set does not fit the memory of the mock machine.',
      {
        hint: `Leave room for ${KERNEL_PAGES} further pages, or give the machine more memory.`,
      },
    );
  }
  const defaults = DEFAULTS[workload];
  return {
    workload,
    seed: number('seed', 1),
    memory,
    resident,
    working,
    rate: number('rate', defaults.rate),
    cluster: number('cluster', defaults.cluster),
    words: number('words', defaults.words),
    rewrites: number('rewrites', defaults.rewrites),
    disks: number('disks', 0),
  };
}

/** The first pages of main memory are the kernel's; the workload's begin after them. */
export const KERNEL_PAGES = 16;
const ROM_PAGES = 64;
const VIDEO_PAGES = 256;

/** Main memory, firmware and video memory, numbered through; a recording has main memory alone. */
export function regionsOf(shape: Shape): MemoryRegion[] {
  const ram = shape.memory / PAGE_SIZE;
  const regions: MemoryRegion[] = [{ name: 'ram', firstGfn: 0, pages: ram, kind: 'ram', gpa: 0n }];
  if (shape.workload === 'trace') return regions;
  // Above the largest main memory, so that no two regions share an address.
  regions.push({ name: 'rom', firstGfn: ram, pages: ROM_PAGES, kind: 'rom', gpa: 0x20_0000_0000n });
  const video = ram + ROM_PAGES;
  regions.push({ name: 'video', firstGfn: video, pages: VIDEO_PAGES, kind: 'device', gpa: 0x21_0000_0000n });
  return regions;
}
