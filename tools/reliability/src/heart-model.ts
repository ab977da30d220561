const MASK = 2n ** 64n - 1n;
/** Settings of the bare-metal guest as the lab builds it by default. */
const PAGES = 512;
const WORDS = 4;
const PER_BEAT = 48;
const SEED = 0x5eed0000n;
const SNAPSHOT_EVERY = 64;
/** Words of a page, and from one word under proof to the next. */
const PAGE_WORDS = 512;
const STRIDE = PAGE_WORDS / WORDS;

/** Pages of main memory that the guest proves: from 16 MiB up. */
export const PROVEN = { firstPage: 4096, pages: PAGES } as const;

/**
 * What the memory of the lab's bare-metal guest holds at each beat, computed beside the guest (its program is
 * the lab's heart.h): so a checkpoint is compared with what the guest must have had, word by word.
 */
export class HeartModel {
  readonly #words = new BigUint64Array(PAGES * WORDS);
  readonly #snapshots = new Map<number, BigUint64Array>();
  #beat = 0;

  constructor() {
    for (let page = 0; page < PAGES; page++)
      this.#words.fill(page % 7 === 0 ? 0n : mix(SEED + BigInt(page)), page * WORDS, (page + 1) * WORDS);
    this.#snapshots.set(0, this.#words.slice());
  }

  /** The checksum that the guest prints at a beat, 16 hex digits. */
  sumAt(beat: number): string {
    this.#goTo(beat);
    let sum = 0n;
    this.#words.forEach((value, at) => (sum += value * (2n * BigInt(wordOf(at)) + 1n)));
    return (sum & MASK).toString(16).padStart(16, '0');
  }

  /**
   * Whether `memory`, the bytes of the proven pages, is what the guest has at some moment of a beat: all that
   * was written before the beat, then the beat's writes up to one of them, that one perhaps half.
   */
  isMomentOf(beat: number, memory: Uint8Array): boolean {
    const found = provenWords(memory);
    if (beat > 0) this.#goTo(beat - 1);
    else this.#goTo(0);
    const now = this.#words;
    let wrong = 0;
    now.forEach((value, at) => (wrong += value === found[at] ? 0 : 1));
    if (wrong === 0) return true;
    for (const { at, value } of beat > 0 ? writesOf(beat, now) : []) {
      const wasWrong = now[at] !== found[at] ? 1 : 0;
      if (wrong === 1 && wasWrong === 1 && isTorn(found[at]!, now[at]!, value)) return this.#rewind(true);
      wrong += (value !== found[at] ? 1 : 0) - wasWrong;
      now[at] = value;
      if (wrong === 0) return this.#rewind(true);
    }
    return this.#rewind(false);
  }

  /** The words were left somewhere within a beat: back to one that is whole. */
  #rewind(result: boolean): boolean {
    this.#words.set(this.#snapshots.get(0)!);
    this.#beat = 0;
    return result;
  }

  #goTo(beat: number): void {
    const snapshot = Math.min(
      Math.floor(beat / SNAPSHOT_EVERY) * SNAPSHOT_EVERY,
      (this.#snapshots.size - 1) * SNAPSHOT_EVERY,
    );
    if (beat < this.#beat || snapshot > this.#beat) {
      this.#words.set(this.#snapshots.get(snapshot)!);
      this.#beat = snapshot;
    }
    while (this.#beat < beat) {
      this.#beat++;
      for (const { at, value } of writesOf(this.#beat, this.#words)) this.#words[at] = value;
      if (this.#beat % SNAPSHOT_EVERY === 0 && !this.#snapshots.has(this.#beat))
        this.#snapshots.set(this.#beat, this.#words.slice());
    }
  }
}

interface Write {
  readonly at: number;
  readonly value: bigint;
}

/** The writes of a beat, in order. Each is to be done before the next is asked for. */
function* writesOf(beat: number, words: BigUint64Array): Generator<Write> {
  for (let i = 0; i < PER_BEAT; i++) {
    const r = mix(SEED ^ (BigInt(beat) << 20n) ^ BigInt(i));
    const page = Number(r >> 32n) % PAGES;
    const at = (slot: number): number => page * WORDS + slot;
    if (i % 32 === 31) {
      for (let slot = 0; slot < WORDS; slot++) yield { at: at(slot), value: 0n };
    } else if (i % 16 === 15) {
      for (let slot = 0; slot < WORDS; slot++) yield { at: at(slot), value: (r + BigInt(slot)) & MASK };
    } else if (i % 8 === 7) {
      yield { at: at(0), value: words[at(0)]! };
    } else {
      for (let n = 0n; n < 1n + (r & 3n); n++)
        yield { at: at(Number((r >> (8n * n)) & BigInt(WORDS - 1))), value: (r + n) & MASK };
    }
  }
}

function mix(start: bigint): bigint {
  let x = start & MASK;
  x ^= x >> 31n;
  x = (x * 0x7fb5d329728ea185n) & MASK;
  x ^= x >> 27n;
  x = (x * 0x81dadef4bc2dd44dn) & MASK;
  return x ^ (x >> 33n);
}

/** A 32-bit guest writes a word in two halves. */
function isTorn(found: bigint, before: bigint, after: bigint): boolean {
  const low = 0xffffffffn;
  const halves = [(before & ~low) | (after & low), (after & ~low & MASK) | (before & low)];
  return halves.some((half) => (half & MASK) === found);
}

function wordOf(at: number): number {
  return Math.floor(at / WORDS) * PAGE_WORDS + (at % WORDS) * STRIDE;
}

function provenWords(memory: Uint8Array): BigUint64Array {
  const all = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  return BigUint64Array.from({ length: PAGES * WORDS }, (_, at) => all.getBigUint64(8 * wordOf(at), true));
}

/**
 * The beat that a guest's low memory (its first 384 KiB or more) says it is at; undefined before its heart was
 * set up. Requires the guest's first processor to be the one that beats.
 */
export function beatIn(lowMemory: Uint8Array): number | undefined {
  const view = new DataView(lowMemory.buffer, lowMemory.byteOffset, lowMemory.byteLength);
  const head = [PROVEN.firstPage * 4096, PAGES, WORDS, PER_BEAT, Number(SEED), 0];
  for (let at = 0x20000; at < 0x60000; at += 4)
    if (head.every((value, index) => view.getUint32(at + 4 * index, true) === value))
      return Number(view.getBigUint64(at + 4 * head.length, true));
  return undefined;
}
