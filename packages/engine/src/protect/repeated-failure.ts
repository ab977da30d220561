import type { FitdocError } from '@fitdoc/interface';

/** So many failures of one kind in a row are no accident. */
const IN_A_ROW = 5;

/**
 * What a retry cannot cure, as nothing outside changes it: what the machine and fitdoc say to each other, and what
 * the machine can do. A full store, by contrast, is emptied by somebody, and a host's load passes.
 */
const INCURABLE = new Set<string>(['PROTOCOL_ERROR', 'CAPABILITY_MISSING', 'MACHINE_INCOMPATIBLE']);

/** Tells failures that will be the same at every try from those that pass. */
export class RepeatedFailure {
  #last: string | undefined;
  #count = 0;

  /** Whether this failure, after those before it, shows that no further try will succeed. */
  isFinal(error: FitdocError): boolean {
    // Only the place in the stream may differ.
    const kind = `${error.code} ${error.message.replace(/\d+/g, '#')}`;
    this.#count = kind === this.#last ? this.#count + 1 : 1;
    this.#last = kind;
    return this.#count >= IN_A_ROW && INCURABLE.has(error.code) && !error.retryable;
  }

  /** A checkpoint was taken. */
  reset(): void {
    this.#last = undefined;
    this.#count = 0;
  }
}
