import { PAGE_SIZE, type PageSink } from '@fitdoc/interface';
import { damaged, type ByteQueue, type Parse } from './byte-queue.js';
import { RAM_CONTINUE, RAM_EOS, RAM_MEM_SIZE, RAM_PAGE, RAM_ZERO, type RamBlock } from './layout.js';

const FLAGS = PAGE_SIZE - 1;
const MAX_BLOCKS = 4096;

/** Counts of pages that a RAM section brought. */
export interface RamCounts {
  pages: number;
  zeroPages: number;
}

/**
 * Reads the bodies of "ram" sections. It lives as long as the connection: CONTINUE refers to the block named
 * last, also when that was in another section or an earlier checkpoint.
 */
export class RamReader {
  readonly counts: RamCounts = { pages: 0, zeroPages: 0 };
  private readonly blocks = new Map<string, RamBlock>();
  private current: RamBlock | undefined;

  constructor(private readonly queue: ByteQueue) {}

  /** Reads the body of the START section: the list of blocks. */
  *readSetup(): Parse<readonly RamBlock[]> {
    const { queue } = this;
    while (queue.available < 8) yield 8;
    const word = queue.uint64();
    if ((word & FLAGS) !== RAM_MEM_SIZE) throw damaged(queue.position - 8, 'no list of RAM blocks');
    const total = word - RAM_MEM_SIZE;
    let listed = 0;
    while (listed < total) {
      const block = yield* this.readBlock(listed / PAGE_SIZE);
      listed += block.size;
    }
    if (listed !== total)
      throw damaged(queue.position, `RAM blocks of ${listed} bytes where ${total} were announced`);
    while (queue.available < 8) yield 8;
    if (queue.uint64() !== RAM_EOS) throw damaged(queue.position - 8, 'no end to the list of RAM blocks');
    return [...this.blocks.values()];
  }

  /** Reads the body of a PART or END section, each page straight into the sink. */
  *readPages(sink: PageSink): Parse<void> {
    const { queue, counts } = this;
    let zeroStart = 0;
    let zeroCount = 0;
    for (;;) {
      while (queue.available < 8) yield 8;
      const word = queue.uint64();
      const flags = word & FLAGS;
      if (flags === RAM_EOS) break;
      const continued = (flags & RAM_CONTINUE) !== 0;
      const block = continued ? this.currentBlock() : yield* this.namedBlock();
      const offset = word - flags;
      if (offset >= block.size)
        throw damaged(queue.position, `page ${offset} outside of block ${block.name}`);
      const gfn = block.firstGfn + offset / PAGE_SIZE;
      const kind = flags & ~RAM_CONTINUE;
      const fill = kind === RAM_ZERO ? yield* this.readFill() : undefined;
      if (fill === 0) {
        counts.zeroPages++;
        if (continued && zeroCount > 0 && gfn === zeroStart + zeroCount) {
          zeroCount++;
          continue;
        }
        if (zeroCount > 0) sink.zero(zeroStart, zeroCount);
        zeroStart = gfn;
        zeroCount = 1;
        continue;
      }
      if (zeroCount > 0) sink.zero(zeroStart, zeroCount);
      zeroCount = 0;
      counts.pages++;
      if (fill !== undefined) sink.place(gfn, 1).fill(fill);
      else if (kind === RAM_PAGE) {
        while (queue.available < PAGE_SIZE) yield PAGE_SIZE;
        queue.copyTo(sink.place(gfn, 1));
      } else throw damaged(queue.position, `a page in an unknown form (flags 0x${flags.toString(16)})`);
    }
    if (zeroCount > 0) sink.zero(zeroStart, zeroCount);
  }

  private *readBlock(firstGfn: number): Parse<RamBlock> {
    const { queue, blocks } = this;
    const name = yield* this.readName();
    while (queue.available < 8) yield 8;
    const size = queue.uint64();
    if (size === 0 || size % PAGE_SIZE !== 0)
      throw damaged(queue.position - 8, `RAM block ${name} of ${size} bytes`);
    if (blocks.has(name)) throw damaged(queue.position, `RAM block ${name} twice`);
    if (blocks.size >= MAX_BLOCKS) throw damaged(queue.position, 'too many RAM blocks');
    const block = { name, size, firstGfn };
    blocks.set(name, block);
    return block;
  }

  private *readFill(): Parse<number> {
    while (this.queue.available < 1) yield 1;
    return this.queue.byte();
  }

  private *readName(): Parse<string> {
    const { queue } = this;
    while (queue.available < 1) yield 1;
    const length = queue.byte();
    if (length === 0) throw damaged(queue.position - 1, 'a RAM block without a name');
    while (queue.available < length) yield length;
    return queue.text(length);
  }

  private *namedBlock(): Parse<RamBlock> {
    const name = yield* this.readName();
    const block = this.blocks.get(name);
    if (block === undefined)
      throw damaged(this.queue.position, `a page of a RAM block that was not listed (${name})`);
    this.current = block;
    return block;
  }

  private currentBlock(): RamBlock {
    if (this.current === undefined) throw damaged(this.queue.position, 'a page that continues no block');
    return this.current;
  }
}
