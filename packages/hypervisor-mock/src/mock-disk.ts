import { BLOCK_SIZE, FitdocError, type DiskExtent } from '@fitdoc/interface';

/** A disk as it was at one moment. */
export interface DiskImage {
  readonly sizeBytes: number;
  /** By number; others are zero. Nobody writes to them. */
  readonly blocks: ReadonlyMap<number, Uint8Array>;
}

/** A sparse disk that notes which blocks are written. */
export class MockDisk {
  readonly name: string;
  #sizeBytes: number;
  /** Each write makes a block anew, so that images stay as they were taken. */
  #blocks = new Map<number, Uint8Array>();
  #dirty = new Set<number>();
  #shrunk = false;
  /** Since when what is written was noted, without a gap. */
  #moment: string | undefined;

  constructor(name: string, sizeBytes: number) {
    this.name = name;
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Writes as a guest does. Errors: ARGUMENT_INVALID beyond the disk's end. */
  write(offset: number, bytes: Uint8Array): void {
    this.#check(offset, bytes.length);
    for (let done = 0; done < bytes.length;) {
      const at = offset + done;
      const block = Math.floor(at / BLOCK_SIZE);
      const within = at - block * BLOCK_SIZE;
      const part = bytes.subarray(done, done + BLOCK_SIZE - within);
      const next = this.#blocks.get(block)?.slice() ?? new Uint8Array(BLOCK_SIZE);
      next.set(part, within);
      this.#blocks.set(block, next);
      this.#dirty.add(block);
      done += part.length;
    }
  }

  /** Whole blocks become zero, as by a guest's TRIM. */
  discard(firstBlock: number, count: number): void {
    for (let block = firstBlock; block < firstBlock + count; block++) {
      this.#blocks.delete(block);
      this.#dirty.add(block);
    }
  }

  read(offset: number, length: number): Uint8Array {
    this.#check(offset, length);
    const bytes = new Uint8Array(length);
    for (let block = Math.floor(offset / BLOCK_SIZE); block * BLOCK_SIZE < offset + length; block++) {
      const from = this.#blocks.get(block);
      const at = block * BLOCK_SIZE - offset;
      if (from)
        bytes.set(from.subarray(Math.max(0, -at), Math.min(BLOCK_SIZE, length - at)), Math.max(0, at));
    }
    return bytes;
  }

  /** Grows or shrinks it, as an operator does. What lay beyond a new end is gone. */
  resize(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) this.#shrunk = true;
    this.#sizeBytes = sizeBytes;
    for (const [block, bytes] of this.#blocks) {
      const end = sizeBytes - block * BLOCK_SIZE;
      if (end <= 0) this.#blocks.delete(block);
      else if (end < BLOCK_SIZE) this.#blocks.set(block, bytes.slice().fill(0, end));
    }
  }

  image(): DiskImage {
    return { sizeBytes: this.#sizeBytes, blocks: new Map(this.#blocks) };
  }

  /** Takes what was written since the last call. `shrunk`: the disk became smaller meanwhile. */
  takeDirty(): TakenBlocks {
    const taken = { dirty: this.#dirty, shrunk: this.#shrunk, since: this.#moment };
    this.#dirty = new Set();
    this.#shrunk = false;
    this.#moment = undefined;
    return taken;
  }

  /** Gives back what was taken. */
  giveBack({ dirty, shrunk, since }: TakenBlocks): void {
    for (const block of dirty) this.#dirty.add(block);
    this.#shrunk ||= shrunk;
    this.#moment = since;
  }

  /** What was taken is stored, as of that moment: whoever has it needs only what is written from then on. */
  keep(moment: string): void {
    this.#moment = moment;
  }

  #check(offset: number, length: number): void {
    const whole = Number.isInteger(offset) && offset >= 0;
    if (whole && offset + length <= this.#sizeBytes) return;
    throw new FitdocError('ARGUMENT_INVALID', `The disk ${this.name} has no ${length} bytes at ${offset}.`);
  }
}

/** What was written to a disk for a while. */
export interface TakenBlocks {
  readonly dirty: ReadonlySet<number>;
  readonly shrunk: boolean;
  /** The moment from which on it was noted. */
  readonly since: string | undefined;
}

/** The blocks of an image: all that are not zero, or those of `chosen`. */
export function* extentsOf(image: DiskImage, chosen?: ReadonlySet<number>): Generator<DiskExtent> {
  for (const block of [...(chosen ?? image.blocks.keys())].sort((a, b) => a - b)) {
    const offset = block * BLOCK_SIZE;
    const length = Math.min(BLOCK_SIZE, image.sizeBytes - offset);
    if (length <= 0) continue;
    const bytes = image.blocks.get(block);
    yield bytes ? { offset, bytes: bytes.subarray(0, length) } : { offset, zeroes: length };
  }
}
