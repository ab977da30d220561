import { FitdocError } from '@fitdoc/interface';

/** Counts the bytes of guest images against a limit. A claim is given before memory is taken. */
export class MemoryBudget {
  readonly limit: number;
  #claimed = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get claimed(): number {
    return this.#claimed;
  }

  /** Claims `bytes`; gives back a function that ends the claim, once. Errors: MEMORY_BUDGET. */
  claim(bytes: number, purpose: string): () => void {
    if (this.#claimed + bytes > this.limit) {
      throw new FitdocError(
        'MEMORY_BUDGET',
        `${purpose} needs ${mebibytes(bytes)} of memory; ${mebibytes(this.limit - this.#claimed)} of ${mebibytes(this.limit)} are free.`,
        { hint: 'Raise the memory budget, or protect fewer machines with this process.' },
      );
    }
    this.#claimed += bytes;
    let held = true;
    return () => {
      if (held) this.#claimed -= bytes;
      held = false;
    };
  }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
