import { PAGE_SIZE } from '@fitdoc/interface';

/** Pages that changed, by page number, with their contents. */
export interface ChangedPages {
  readonly gfns: Uint32Array;
  readonly bytes: Uint8Array;
}

export interface TraceFacts {
  readonly workload: string;
  readonly intervalSeconds: number;
}

/** Finds the pages in which two memories of one size differ; the contents are those of `next`. */
export function changedPages(before: Uint8Array, next: Uint8Array): ChangedPages {
  const [a, b] = [Buffer.from(before.buffer, before.byteOffset, before.length), next];
  const gfns: number[] = [];
  for (let offset = 0; offset < next.length; offset += PAGE_SIZE) {
    const end = offset + PAGE_SIZE;
    if (a.compare(b, offset, end, offset, end) !== 0) gfns.push(offset / PAGE_SIZE);
  }
  return pagesOf(next, gfns);
}

/** The parts of a `ram-trace-v1`: `first` is the memory before the first epoch. */
export function* encodeTrace(
  first: Uint8Array,
  epochs: readonly ChangedPages[],
  facts: TraceFacts,
): Generator<Uint8Array> {
  const known = new Set(epochs.flatMap(({ gfns }) => [...gfns]));
  const base = pagesOf(
    first,
    [...known].sort((x, y) => x - y),
  );
  const header = Buffer.from(
    JSON.stringify({
      format: 'ram-trace-v1',
      workload: facts.workload,
      pageSize: PAGE_SIZE,
      memoryPages: first.length / PAGE_SIZE,
      basePages: base.gfns.length,
      epochs: epochs.map(({ gfns }) => gfns.length),
      intervalSeconds: facts.intervalSeconds,
    }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  yield length;
  yield header;
  for (const { gfns, bytes } of [base, ...epochs]) {
    yield littleEndian(gfns);
    yield bytes;
  }
}

function pagesOf(memory: Uint8Array, gfns: readonly number[]): ChangedPages {
  const bytes = new Uint8Array(gfns.length * PAGE_SIZE);
  for (const [index, gfn] of gfns.entries()) {
    bytes.set(memory.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE), index * PAGE_SIZE);
  }
  return { gfns: Uint32Array.from(gfns), bytes };
}

function littleEndian(numbers: Uint32Array): Uint8Array {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [index, value] of numbers.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}
