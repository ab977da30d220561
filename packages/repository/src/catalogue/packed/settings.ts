import type { SegmentCache } from './segment-cache.js';

/** How the packed catalogue is kept. The defaults are for everybody; tests make it small. */
export interface PackedSettings {
  /** Keeps segments of a distant store near. Default: none. */
  readonly cache?: SegmentCache;
  /** Milliseconds of a clock that nobody sets. */
  readonly steady: () => number;
  /**
   * How long the last objects of a series stay uncovered, in milliseconds by the store's clock. A put that begins
   * when nothing stands above its key, and ends within this time, is listed by whoever covers its stretch.
   */
  readonly horizonMs: number;
  /** Objects of a segment, by level, ascending. */
  readonly sizes: readonly [number, ...number[]];
  /**
   * Segments of a level, side by side, that make one of the next. A reader reads each of them: few make a listing
   * short, and the packer write each entry more often.
   */
  readonly fanOut: number;
  /** Objects of an open segment, at most. */
  readonly openSize: number;
  /** Entries that are in no segment yet before they are put into one: so many summaries a reader reads at most. */
  readonly flushEvery: number;
  /** Puts of a machine after which its segments are looked after. */
  readonly packEvery: number;
  /** Objects that a listing must save to be worth a further request: those of a page of S3's. */
  readonly worthwhile: number;
}

export const DEFAULT_SETTINGS: PackedSettings = {
  steady: () => performance.now(),
  horizonMs: 10 * 60_000,
  sizes: [256, 1_024, 4_096, 16_384, 65_536],
  fanOut: 2,
  openSize: 4_096,
  flushEvery: 32,
  packEvery: 256,
  worthwhile: 1_000,
};
