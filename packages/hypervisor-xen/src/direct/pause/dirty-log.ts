import { DirtyBitmap } from '@fitdoc/bitmap';
import type { DomainControl, HypercallBitmap } from '../xen/control.js';

/** A domain's dirty log in Xen, and what left it and is in no sink yet. */
export class DirtyLog {
  /** Pages that left Xen's log and are in no sink yet. */
  readonly owed: DirtyBitmap;
  /** Whether a first capture has succeeded: from then on the log tells all that changed. */
  started = false;
  /** Somebody else turned it off, or has read of it: what it tells since is not all that changed. */
  get lost(): boolean {
    // Xen turns on what is off, and refuses what is on.
    return this.#control.enableLog();
  }

  readonly #control: DomainControl;
  /** Where Xen writes: memory of a kind that it accepts. */
  readonly #harvested: HypercallBitmap;
  readonly #fresh: DirtyBitmap;

  /** Turns the log on. Errors: CAPTURE_FAILED. */
  constructor(control: DomainControl) {
    const pages = control.pfns();
    control.startLog();
    this.#control = control;
    this.#harvested = control.allocateBitmap(pages);
    this.#fresh = new DirtyBitmap(pages);
    this.owed = new DirtyBitmap(pages);
  }

  get pages(): number {
    return this.owed.pages;
  }

  /** Pages that a harvest would bring now. */
  count(): number {
    return this.#control.dirtyCount();
  }

  /** Makes ready for a harvest, which fills the bitmap in parts only. */
  prepare(): void {
    this.#harvested.bytes.fill(0);
  }

  /** Takes all pages out of Xen's log; they are owed from then on. Requires `prepare`. Errors: CAPTURE_FAILED. */
  harvest(final: boolean): void {
    this.#control.harvest(this.#harvested, final);
    this.#fresh.load(this.#harvested.bytes);
    this.owed.or(this.#fresh);
  }

  free(): void {
    this.#control.freeBitmap(this.#harvested);
  }
}
