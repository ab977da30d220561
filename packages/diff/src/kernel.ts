/**
 * The hot loops over one shard's memory. Two implementations: WebAssembly (`wasm-kernel.ts`) and plain
 * TypeScript (`twin.ts`), which is the oracle of the tests and the fallback. Pages are the shard's own
 * numbers, from 0.
 *
 * Any number of threads may call at once as long as they work on different pages.
 */
export interface Kernel {
  /**
   * Compares every page staged in slots `from` to `to - 1` with the image, brings image and pending masks up
   * to date and marks the slots done. For every changed word the mask bit is set before the image changes, so
   * that a thread killed in between loses nothing: doing the same slots again completes the work.
   * Returns the number of pages compared.
   */
  diffSlots(from: number, to: number): number;
  /**
   * Makes pages `from` to `to - 1` zero (only those not placed in this capture when `unplacedOnly`), dropping
   * what is staged for them. Untouched pages cost nothing.
   */
  zeroPages(from: number, to: number, unplacedOnly: boolean): void;
  /** Clears the masks of all pending pages. Returns how many there were. */
  clearPending(): number;
  /** Fast gathering through a scratch block, where there is one. */
  readonly gather?: GatherKernel;
}

/** The part of the kernel that lays pending pages out as columns. */
export interface GatherKernel {
  /**
   * Gives each of the `count` pages listed in scratch block `block` (at byte offset `block`) its kind, and
   * lists the masks of those of KIND_WORDS. The kinds column holds 1 beforehand for pages to write whole.
   * Kind 0: nothing is pending. Returns the number of words of all KIND_WORDS pages together.
   */
  classify(block: number, count: number, wholeAbove: number): number;
  /**
   * Writes the pending words of the block's KIND_WORDS pages from index `from` on into the block's word
   * column, as many pages as it has room for; the block's first u32 is the index to go on at. Returns bytes.
   */
  words(block: number, from: number, count: number): number;
}
