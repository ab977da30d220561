import { FitdocError } from '@fitdoc/interface';
import { dataView } from '../stream/headers.js';
import { PAGE_TYPE } from '../stream/layout.js';

const CHUNK = 65536;

/** Consecutive pfns of one type. */
export interface TypeRun {
  readonly pfn: number;
  readonly count: number;
  readonly type: number;
}

/** Which pfns a domain has, and each one's type (page tables of a PV guest, say). Absent until set. */
export class PageTypes {
  readonly #chunks = new Map<number, Uint8Array>();
  #encoded: Uint8Array | undefined;

  set(pfn: number, type: number): void {
    const index = Math.floor(pfn / CHUNK);
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      if (type === PAGE_TYPE.ABSENT) return;
      chunk = new Uint8Array(CHUNK).fill(PAGE_TYPE.ABSENT);
      this.#chunks.set(index, chunk);
    }
    if (chunk[pfn % CHUNK] === type) return;
    chunk[pfn % CHUNK] = type;
    this.#encoded = undefined;
  }

  get(pfn: number): number {
    return this.#chunks.get(Math.floor(pfn / CHUNK))?.[pfn % CHUNK] ?? PAGE_TYPE.ABSENT;
  }

  /** The pfns that are not absent, in ascending order. */
  *runs(): Generator<TypeRun> {
    let run = { pfn: 0, count: 0, type: -1 };
    for (const index of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(index)!;
      for (let offset = 0; offset < CHUNK; offset++) {
        const type = chunk[offset]!;
        const pfn = index * CHUNK + offset;
        if (type === run.type && pfn === run.pfn + run.count) {
          run.count++;
        } else if (type !== PAGE_TYPE.ABSENT) {
          if (run.count > 0) yield run;
          run = { pfn, count: 1, type };
        }
      }
    }
    if (run.count > 0) yield run;
  }

  /** The runs as little-endian u32 triples: pfn, count, type. Kept until a type changes. */
  encode(): Uint8Array {
    if (this.#encoded) return this.#encoded;
    const runs = [...this.runs()];
    const bytes = new Uint8Array(12 * runs.length);
    const view = dataView(bytes);
    runs.forEach((run, index) => {
      view.setUint32(12 * index, run.pfn, true);
      view.setUint32(12 * index + 4, run.count, true);
      view.setUint32(12 * index + 8, run.type, true);
    });
    this.#encoded = bytes;
    return bytes;
  }
}

/** Reads what `PageTypes.encode` wrote. Errors: FORMAT_DAMAGED. */
export function decodeTypeRuns(bytes: Uint8Array): TypeRun[] {
  const runs: TypeRun[] = [];
  const view = dataView(bytes);
  let end = 0;
  for (let offset = 0; offset < bytes.length; offset += 12) {
    if (offset + 12 > bytes.length) throw damaged();
    const pfn = view.getUint32(offset, true);
    const count = view.getUint32(offset + 4, true);
    const type = view.getUint32(offset + 8, true);
    if (pfn < end || count === 0 || type >= PAGE_TYPE.ABSENT) throw damaged();
    runs.push({ pfn, count, type });
    end = pfn + count;
  }
  return runs;
}

function damaged(): FitdocError {
  return new FitdocError('FORMAT_DAMAGED', "The checkpoint's table of Xen page types is damaged.", {
    hint: 'Verify the checkpoint and restore another one of the chain.',
  });
}
