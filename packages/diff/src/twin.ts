import { clearBit, lowestBit, setBit, testBit } from './bits.js';
import type { Kernel } from './kernel.js';
import { CONTROL, CONTROL_OFFSET, type Layout } from './layout.js';

const HALVES = 1024;

/** The kernel in plain TypeScript: written to be read, as the oracle of the WebAssembly one. */
export class TwinKernel implements Kernel {
  readonly #bitmaps: Record<'touched' | 'zero' | 'pending' | 'placed' | 'changed' | 'staged', Int32Array>;
  readonly #slotOf: Uint32Array;
  readonly #slotPage: Uint32Array;
  readonly #masks: Uint8Array;
  /** Half words, since a Float64Array could alter some bit patterns and BigInts are slow. */
  readonly #image: Uint32Array;
  readonly #slots: Uint32Array;
  readonly #changedWords: BigUint64Array;

  constructor(buffer: SharedArrayBuffer, layout: Layout) {
    const bitmap = (offset: number) => new Int32Array(buffer, offset, layout.bitmapWords);
    this.#bitmaps = {
      touched: bitmap(layout.touched),
      zero: bitmap(layout.zero),
      pending: bitmap(layout.pending),
      placed: bitmap(layout.placed),
      changed: bitmap(layout.changed),
      staged: bitmap(layout.staged),
    };
    this.#slotOf = new Uint32Array(buffer, layout.slotOf, layout.pages);
    this.#slotPage = new Uint32Array(buffer, layout.slotPage, layout.slotCount);
    this.#masks = new Uint8Array(buffer, layout.masks, layout.pages * 64);
    this.#image = new Uint32Array(buffer, layout.image, layout.pages * HALVES);
    this.#slots = new Uint32Array(buffer, layout.slots, layout.slotCount * HALVES);
    this.#changedWords = new BigUint64Array(buffer, CONTROL_OFFSET + CONTROL.changedWords * 4, 1);
  }

  diffSlots(from: number, to: number): number {
    let done = 0;
    let words = 0;
    for (let slot = from; slot < to; slot++) {
      const page = this.#slotPage[slot]!;
      if (this.#slotOf[page] !== slot + 1) continue;
      words += this.#update(page, (half) => this.#slots[slot * HALVES + half]!);
      this.#slotOf[page] = 0;
      clearBit(this.#bitmaps.staged, page);
      done++;
    }
    Atomics.add(this.#changedWords, 0, BigInt(words));
    return done;
  }

  zeroPages(from: number, to: number, unplacedOnly: boolean): void {
    const { staged, touched, zero, placed } = this.#bitmaps;
    let words = 0;
    for (let page = from; page < to; page++) {
      if (unplacedOnly && testBit(placed, page)) continue;
      if (testBit(staged, page)) {
        this.#slotOf[page] = 0;
        clearBit(staged, page);
      }
      if (testBit(touched, page) && !testBit(zero, page)) words += this.#update(page, () => 0);
    }
    Atomics.add(this.#changedWords, 0, BigInt(words));
  }

  /** Brings one page's image and mask up to date. Returns the number of changed words. */
  #update(page: number, half: (index: number) => number): number {
    const image = page * HALVES;
    let changed = 0;
    for (let at = 0; at < HALVES; at += 2) {
      const low = half(at);
      const high = half(at + 1);
      if (this.#image[image + at] === low && this.#image[image + at + 1] === high) continue;
      if (changed++ === 0) this.#mark(page);
      const word = at >>> 1;
      this.#masks[page * 64 + (word >>> 3)]! |= 1 << (word & 7);
      this.#image[image + at] = low;
      this.#image[image + at + 1] = high;
    }
    if (testBit(this.#bitmaps.touched, page) && this.#isZero(page)) setBit(this.#bitmaps.zero, page);
    return changed;
  }

  #mark(page: number): void {
    setBit(this.#bitmaps.pending, page);
    setBit(this.#bitmaps.touched, page);
    setBit(this.#bitmaps.changed, page);
    clearBit(this.#bitmaps.zero, page);
  }

  #isZero(page: number): boolean {
    for (let at = page * HALVES; at < (page + 1) * HALVES; at++) if (this.#image[at] !== 0) return false;
    return true;
  }

  clearPending(): number {
    const { pending } = this.#bitmaps;
    let cleared = 0;
    for (let index = 0; index < pending.length; index++) {
      for (let live = pending[index]!; live !== 0; live &= live - 1) {
        const page = index * 32 + lowestBit(live);
        this.#masks.fill(0, page * 64, page * 64 + 64);
        cleared++;
      }
      if (pending[index] !== 0) pending[index] = 0;
    }
    return cleared;
  }
}
