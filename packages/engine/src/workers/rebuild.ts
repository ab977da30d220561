import type { Codec } from '@fitdoc/codec';
import { MAX_BATCH_PAGES, PAGE_SIZE, type PageBatch } from '@fitdoc/interface';
import { BasePages } from './base-pages.js';
import { Layer } from './layer.js';
import { OnePage } from './one-page.js';
import type { RebuildResult, RebuildTask } from './tasks.js';

/** Pages that a unit may have: those of a batch, and as many that only layers have. */
export const UNIT_PAGES = 2 * MAX_BATCH_PAGES;

const EMPTY: PageBatch = {
  ...{ gfns: new Uint32Array(0), kinds: new Uint8Array(0) },
  ...{ masks: new Uint8Array(0), words: new Uint8Array(0), pages: new Uint8Array(0) },
};

/** Lays layers over a batch of the base and gives what is not zero. */
export function rebuild(task: RebuildTask, codec: Codec): RebuildResult {
  const base = new BasePages(task.base ? codec.decode(task.base, { transient: true }) : EMPTY);
  const changes = changesOf(task);
  const page = new OnePage();
  const out = new Output(new Uint8Array(task.memory));
  base.skipTo(task.start);
  for (let next = 0; ;) {
    const gfn = Math.min(base.gfn, changes[next]?.gfn ?? Number.POSITIVE_INFINITY);
    if (gfn >= task.end) break;
    page.clear();
    if (base.gfn === gfn) base.lay(page);
    for (; changes[next]?.gfn === gfn; next++) changes[next]!.layer.lay(changes[next]!.index, page);
    const found = page.content();
    if (found) out.append(gfn, found.bytes, found.at, found.lasting);
  }
  return { runs: out.end() };
}

interface Change {
  readonly gfn: number;
  readonly layer: Layer;
  readonly index: number;
}

/** What the layers say of pages between `start` and `end`: by page, and for each in the layers' order. */
function changesOf({ start, end, layers }: RebuildTask): Change[] {
  const changes: Change[] = [];
  for (const memory of layers) {
    const layer = new Layer(memory);
    for (let index = layer.from(start); index < layer.gfns.length && layer.gfns[index]! < end; index++)
      changes.push({ gfn: layer.gfns[index]!, layer, index });
  }
  return changes.sort((a, b) => a.gfn - b.gfn);
}

/** Pages one after another in shared memory; those that lie together where they come from are copied together. */
class Output {
  readonly #to: Uint8Array;
  readonly #runs: number[] = [];
  #pages = 0;
  #from: Uint8Array | undefined;
  #at = 0;
  #length = 0;

  constructor(to: Uint8Array) {
    this.#to = to;
  }

  /** `lasting`: the bytes stay as they are until `end`. */
  append(gfn: number, bytes: Uint8Array, at: number, lasting: boolean): void {
    const runs = this.#runs;
    const last = runs.length - 3;
    if (last >= 0 && runs[last]! + runs[last + 1]! === gfn) runs[last + 1]!++;
    else runs.push(gfn, 1, this.#pages);
    if (this.#from !== bytes || this.#at + this.#length !== at) {
      this.#flush();
      this.#from = bytes;
      this.#at = at;
    }
    this.#pages++;
    this.#length += PAGE_SIZE;
    if (!lasting) this.#flush();
  }

  /** Runs as `RebuildResult` has them. */
  end(): Uint32Array {
    this.#flush();
    return Uint32Array.from(this.#runs);
  }

  #flush(): void {
    if (!this.#from) return;
    const bytes = this.#from.subarray(this.#at, this.#at + this.#length);
    this.#to.set(bytes, this.#pages * PAGE_SIZE - this.#length);
    this.#from = undefined;
    this.#length = 0;
  }
}
