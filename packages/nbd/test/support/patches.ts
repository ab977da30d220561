import type { NbdExport, NbdPart, NbdStatus } from '@fitdoc/nbd';

/** A sparse disk in memory: data in some of its blocks of 4 KiB. */
export class PatchedDisk implements NbdExport {
  readonly content: Buffer;
  /** Blocks whose content cannot be read. */
  readonly broken = new Set<number>();
  private readonly data = new Set<number>();

  constructor(
    readonly name: string,
    readonly sizeBytes: number,
    blocks: readonly number[],
  ) {
    this.content = Buffer.alloc(sizeBytes);
    for (const block of blocks) {
      this.data.add(block);
      for (let at = block * 4096; at < Math.min(sizeBytes, (block + 1) * 4096); at++)
        this.content[at] = ((at * 31 + block) % 251) | 1;
    }
  }

  async read(offset: number, length: number): Promise<NbdPart[]> {
    await new Promise((resolve) => setImmediate(resolve));
    const parts: NbdPart[] = [];
    for (const [block, from, to] of this.pieces(offset, length)) {
      if (this.broken.has(block)) throw new Error(`block ${block} is damaged`);
      if (this.data.has(block)) parts.push({ offset: from, bytes: this.content.subarray(from, to) });
    }
    return parts;
  }

  async status(offset: number, length: number): Promise<NbdStatus[]> {
    const pieces = [...this.pieces(offset, Math.min(length, 2 ** 20))];
    return pieces.map(([block, from, to]) => ({ length: to - from, zero: !this.data.has(block) }));
  }

  private *pieces(offset: number, length: number): Generator<[block: number, from: number, to: number]> {
    for (let from = offset; from < offset + length;) {
      const block = Math.floor(from / 4096);
      const to = Math.min(offset + length, (block + 1) * 4096);
      yield [block, from, to];
      from = to;
    }
  }
}
