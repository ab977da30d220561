import { BLOCK_SIZE, FitdocError, MAX_PAGES, throwIfAborted, type CallOptions } from '@fitdoc/interface';
import { RandomReader } from '../read/random/random-reader.js';
import type { OpenLink, PageLink } from '../read/replay.js';
import type { WorkerPool } from '../workers/pool.js';
import { storedDisks, wholeDisk, type DiskLinks } from './disk-links.js';

/** Bytes of a disk from `offset` on, verified. They stay as they are for as long as they are held. */
export interface DiskPart {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** So many bytes that may hold something, or are zero. */
export interface DiskRun {
  readonly length: number;
  readonly zero: boolean;
}

/** Bytes that all disks of a checkpoint may keep of what was rebuilt, and of decoded increments. */
const REBUILT_BYTES = 64 << 20;
const LAYER_BYTES = 128 << 20;

/** A checkpoint's disk, read in any order, by many at once, in bounded memory. */
export class RandomDisk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #links: DiskLinks;
  /** Of each span, made when it is first read. */
  readonly #spans: (RandomReader | undefined)[] = [];

  /** `share`: how many disks share the memory. */
  constructor(
    links: DiskLinks,
    private readonly pool: WorkerPool,
    private readonly share: number,
  ) {
    this.name = links.disk.name;
    this.sizeBytes = links.disk.sizeBytes;
    this.#links = links;
  }

  /**
   * What from `offset` to before `offset + length` is not zero, ascending. Errors: ARGUMENT_INVALID outside of the
   * disk, FORMAT_*, CODEC_*, STORE_*, naming the object.
   */
  async read(offset: number, length: number, options: CallOptions = {}): Promise<readonly DiskPart[]> {
    this.#check(offset, length);
    throwIfAborted(options.signal);
    const end = offset + length;
    const parts: DiskPart[] = [];
    for (const { span, from, to } of pieces(offset, end)) {
      const origin = span * MAX_PAGES;
      for (const { gfn, bytes } of await this.#span(span).read(from - origin, to - from, options)) {
        const start = (origin + gfn) * BLOCK_SIZE;
        const clipped = bytes.subarray(Math.max(0, offset - start), Math.max(0, end - start));
        if (clipped.length > 0) parts.push({ offset: Math.max(offset, start), bytes: clipped });
      }
    }
    return parts;
  }

  /**
   * What is where from `offset` on. It may end before `offset + length`, so that no answer takes long; what is said
   * to be zero is. Errors as those of `read`.
   */
  async status(offset: number, length: number, options: CallOptions = {}): Promise<readonly DiskRun[]> {
    this.#check(offset, length);
    throwIfAborted(options.signal);
    const [piece] = pieces(offset, offset + length);
    if (!piece) return [];
    const { span, from, to } = piece;
    const origin = span * MAX_PAGES;
    const { end, runs } = await this.#span(span).occupied(from - origin, to - from, options);
    const last = Math.min(offset + length, (origin + end) * BLOCK_SIZE);
    const found: DiskRun[] = [];
    let at = offset;
    const until = (position: number, zero: boolean): void => {
      const next = Math.min(position, last);
      if (next > at) found.push({ length: next - at, zero });
      at = Math.max(at, next);
    };
    for (const { start, count } of runs) {
      until((origin + start) * BLOCK_SIZE, true);
      until((origin + start + count) * BLOCK_SIZE, false);
    }
    until(last, true);
    return found;
  }

  #check(offset: number, length: number): void {
    const whole = Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0;
    if (whole && offset + length <= this.sizeBytes) return;
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `The disk ${this.name} has ${this.sizeBytes} bytes, and none at ${offset} + ${length}.`,
    );
  }

  #span(index: number): RandomReader {
    const { blocks, links } = this.#links.spans[index]!;
    return (this.#spans[index] ??= new RandomReader(links as readonly [PageLink, ...PageLink[]], {
      pool: this.pool,
      pages: blocks,
      rebuiltBytes: Math.floor(REBUILT_BYTES / this.share / this.#links.spans.length),
      layerBytes: Math.floor(LAYER_BYTES / this.share / this.#links.spans.length),
    }));
  }
}

/** The disk of that name of a chain's last checkpoint. Errors as those of `CheckpointSource.openDisk`. */
export function randomDisk(links: readonly OpenLink[], name: string, pool: WorkerPool): RandomDisk {
  const disks = storedDisks(links);
  if (disks.some((disk) => disk.name === name))
    return new RandomDisk(wholeDisk(links, name), pool, disks.length);
  throw new FitdocError('ARGUMENT_INVALID', `The checkpoint holds no disk ${name}.`, {
    hint: disks.length === 0 ? 'It holds none.' : `It holds: ${disks.map((disk) => disk.name).join(', ')}.`,
  });
}

/** The blocks from `offset` to before `end`, by span. */
function* pieces(offset: number, end: number): Generator<{ span: number; from: number; to: number }> {
  const last = Math.ceil(end / BLOCK_SIZE);
  for (let from = Math.floor(offset / BLOCK_SIZE); from < last;) {
    const span = Math.floor(from / MAX_PAGES);
    const to = Math.min(last, (span + 1) * MAX_PAGES);
    yield { span, from, to };
    from = to;
  }
}
