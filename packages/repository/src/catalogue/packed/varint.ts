import { FitdocError } from '@fitdoc/interface';

/** Whole numbers as bytes: seven bits each, the lowest first, the sign in the lowest bit of all (zigzag). */
export class NumberWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  push(value: number): void {
    if (this.#length + 10 > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    // Arithmetic, not shifts: values have up to 54 bits.
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

/** Bytes that the longest number takes. */
const LONGEST = 8;

/**
 * Reads so many numbers that a `NumberWriter` wrote. FORMAT_DAMAGED unless that is all that there is. A listing reads
 * millions of them: hence no call for each.
 */
export function readNumbers(bytes: Uint8Array, count: number): number[] {
  const numbers = new Array<number>(count);
  let at = 0;
  for (let row = 0; row < count; row++) {
    if (at === bytes.length) throw cutOff();
    let digits = bytes[at++]!;
    let value = digits & 127;
    const end = at + LONGEST - 1;
    for (let scale = 128; digits >= 128; scale *= 128) {
      if (at === bytes.length || at === end) throw cutOff();
      digits = bytes[at++]!;
      value += (digits & 127) * scale;
    }
    numbers[row] = value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  if (at !== bytes.length) throw cutOff();
  return numbers;
}

function cutOff(): FitdocError {
  return new FitdocError('FORMAT_DAMAGED', 'A column of numbers is cut off, or goes on too long.');
}
