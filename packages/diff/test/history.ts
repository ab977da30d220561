import fc from 'fast-check';
import { isFitdocError, MAX_BATCH_PAGES, type LentArea } from '@fitdoc/interface';
import { applyBatch, type MemoryImage, type SettleOptions } from '../src/index.js';
import { edited, PAGE, pageEdit, type PageEdit } from './pages.js';

/** One step of a guest's life under capture, as far as a memory image sees it. */
export type Step =
  | { readonly type: 'place'; readonly gfn: number; readonly edits: readonly PageEdit[] }
  | { readonly type: 'zero'; readonly gfn: number; readonly count: number }
  | { readonly type: 'reserve'; readonly count: number }
  /** Loans that are under way together, each with the pages that come into it in this order. */
  | { readonly type: 'lend'; readonly loans: readonly (readonly PageAt[])[]; readonly count: number }
  | { readonly type: 'capture' | 'settle' | 'full' | 'checkpoint' };

interface PageAt {
  readonly gfn: number;
  readonly edit: PageEdit;
}

export function stepsOf(pages: number): fc.Arbitrary<Step[]> {
  const gfn = fc.nat(pages - 1);
  const simple = (type: 'capture' | 'settle' | 'full' | 'checkpoint') => fc.constant({ type });
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('place' as const),
        gfn,
        edits: fc.array(pageEdit, { minLength: 1, maxLength: 9 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('zero' as const),
        gfn,
        count: fc.integer({ min: 1, max: 40 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('reserve' as const), count: fc.nat(12) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('lend' as const),
        loans: fc.array(fc.array(fc.record({ gfn, edit: pageEdit }), { maxLength: 12 }), { maxLength: 3 }),
        count: fc.integer({ min: 1, max: 60 }),
      }),
    },
    { weight: 2, arbitrary: simple('capture') },
    { weight: 2, arbitrary: simple('settle') },
    { weight: 1, arbitrary: simple('full') },
    { weight: 2, arbitrary: simple('checkpoint') },
  );
  return fc.array(step, { maxLength: 40 });
}

/** Drives an image through steps, beside a guest in plain memory and a replica fed by the batches alone. */
export class History {
  readonly guest: Uint8Array;
  readonly replica: Uint8Array;
  /** Everything that can be observed, for comparing two images. */
  readonly log: unknown[] = [];
  #placed = new Set<number>();

  constructor(
    readonly image: MemoryImage,
    readonly settleOptions: SettleOptions = {},
  ) {
    this.guest = new Uint8Array(image.pages * PAGE);
    this.replica = new Uint8Array(image.pages * PAGE);
    image.beginCapture();
  }

  async play(step: Step): Promise<void> {
    const { image } = this;
    if (step.type === 'place') this.#place(step.gfn, step.edits);
    if (step.type === 'zero') this.#zero(step.gfn, Math.min(step.count, image.pages - step.gfn));
    if (step.type === 'reserve') this.log.push(image.reserve(step.count));
    if (step.type === 'lend') this.#lend(step.loans, step.count);
    if (step.type === 'capture') {
      image.beginCapture();
      this.#placed.clear();
    }
    if (step.type === 'full') {
      image.zeroUnplaced();
      for (let gfn = 0; gfn < image.pages; gfn++) if (!this.#placed.has(gfn)) this.#page(gfn).fill(0);
    }
    if (step.type === 'settle' || step.type === 'checkpoint') await image.settle(this.settleOptions);
    if (step.type === 'settle') this.log.push(image.captureStats());
    if (step.type === 'checkpoint') this.#checkpoint();
  }

  imageBytes(): Uint8Array {
    const bytes = new Uint8Array(this.guest.length);
    for (let gfn = 0; gfn < this.image.pages;) {
      const view = this.image.read(gfn, this.image.pages - gfn);
      bytes.set(view, gfn * PAGE);
      gfn += view.length / PAGE;
    }
    return bytes;
  }

  #page(gfn: number): Uint8Array {
    return this.guest.subarray(gfn * PAGE, (gfn + 1) * PAGE);
  }

  #place(first: number, edits: readonly PageEdit[]): void {
    const count = Math.min(edits.length, this.image.pages - first);
    for (let done = 0; done < count;) {
      const view = this.image.place(first + done, count - done);
      for (let i = 0; i < view.length / PAGE; i++, done++) {
        const page = this.#page(first + done);
        page.set(edited(page, edits[done]!));
        view.set(page, i * PAGE);
        this.#placed.add(first + done);
      }
    }
  }

  #lend(loans: readonly (readonly PageAt[])[], count: number): void {
    const open = loans.flatMap((pages) => {
      const areas = this.#areas(count);
      return areas ? [{ pages, areas, held: new Map<LentArea, number[]>() }] : [];
    });
    for (const { pages, areas, held } of open) {
      for (const { gfn, edit } of pages) {
        const area = areas.find(({ firstGfn, gfnCount }) => gfn >= firstGfn && gfn < firstGfn + gfnCount)!;
        const gfns = held.get(area) ?? [];
        held.set(area, gfns);
        if (gfns.length * PAGE === area.bytes.length) continue;
        const page = this.#page(gfn);
        page.set(edited(page, edit));
        area.bytes.set(page, gfns.length * PAGE);
        gfns.push(gfn);
        this.#placed.add(gfn);
      }
      for (const area of areas) this.image.landed(area, Uint32Array.from(held.get(area) ?? []));
    }
  }

  #areas(count: number): readonly LentArea[] | undefined {
    try {
      const areas = this.image.lend(count);
      this.log.push(areas.map(({ bytes }) => bytes.length));
      return areas;
    } catch (error) {
      // Reserved pages and other loans may fill all there is.
      if (!isFitdocError(error, 'MEMORY_BUDGET')) throw error;
      this.log.push('all is lent');
      return undefined;
    }
  }

  #zero(first: number, count: number): void {
    this.image.zero(first, count);
    for (let gfn = first; gfn < first + count; gfn++) {
      this.#page(gfn).fill(0);
      this.#placed.add(gfn);
    }
  }

  #checkpoint(): void {
    const pending = this.image.pending();
    this.log.push([...pending], [...this.image.occupied()]);
    for (let at = 0; at < pending.length; at += MAX_BATCH_PAGES) {
      const batch = this.image.gather(pending.subarray(at, at + MAX_BATCH_PAGES), { wholeAbove: 300 });
      this.log.push(batch);
      applyBatch(batch, this.replica);
    }
    this.image.clearPending();
  }
}
