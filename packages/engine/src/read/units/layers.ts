import { DirtyBitmap, scanPages } from '@fitdoc/bitmap';
import { MASK_SIZE, PAGE_SIZE, WORD_SIZE, type CallOptions } from '@fitdoc/interface';
import { Layer } from '../../workers/layer.js';
import { mapOrdered } from '../../workers/ordered.js';
import type { WorkerPool } from '../../workers/pool.js';
import { nameObject } from '../name-object.js';
import type { OpenLink, PageLink } from '../replay.js';

/** The increments of a chain, decoded. */
export interface Layers {
  /** In the order in which they lie on each other. */
  readonly layers: readonly DecodedLayer[];
  /** Pages that any of them has, ascending. */
  readonly gfns: Uint32Array;
}

interface DecodedLayer {
  readonly memory: SharedArrayBuffer;
  readonly firstGfn: number;
  readonly lastGfn: number;
}

/** Bytes of a page's number, kind and offset. */
const ENTRY_BYTES = 12;

/** Bytes that the increments take when they are decoded, within a few. */
export function layerBytes(increments: readonly OpenLink[]): number {
  return increments.reduce((sum, { reader }) => {
    const { changedWords, wholePages, wordPages, pages } = reader.summary;
    return (
      sum + changedWords * WORD_SIZE + wholePages * PAGE_SIZE + wordPages * MASK_SIZE + pages * ENTRY_BYTES
    );
  }, 0);
}

/** The same of blocks, of which no counts of words are kept: no more than this, as whole ones take the most. */
export function blockLayerBytes(increments: readonly PageLink[]): number {
  const blocks = increments.flatMap(({ reader }) => reader.batches.map((batch) => batch.pages));
  return blocks.reduce((sum, count) => sum + count * (PAGE_SIZE + ENTRY_BYTES), 0);
}

/** Encoded bytes that one worker decodes at a time: batches of small increments are many. */
const TASK_BYTES = 1 << 20;

interface Part {
  readonly link: PageLink;
  readonly batch: number;
}

/** Reads and decodes all batches of the increments, each once. */
export async function decodeLayers(
  increments: readonly PageLink[],
  pages: number,
  pool: WorkerPool,
  { signal }: CallOptions,
): Promise<Layers> {
  const touched = new DirtyBitmap(pages);
  const decode = async (parts: readonly Part[]): Promise<readonly SharedArrayBuffer[]> => {
    const entries = parts.map(({ link }) => link.entry);
    const encoded = await Promise.all(
      parts.map(({ link, batch }) => link.reader.readEncodedBatch(batch).catch(nameObject([link.entry]))),
    );
    return pool.layers({ kind: 'layers', encoded }, signal).catch(nameObject(entries));
  };
  const layers: DecodedLayer[] = [];
  for await (const memories of mapOrdered(tasks(increments), pool.workers * 2, decode)) {
    for (const memory of memories) {
      const { gfns } = new Layer(memory);
      for (const gfn of gfns) touched.set(gfn);
      layers.push({ memory, firstGfn: gfns[0] ?? 0, lastGfn: gfns.at(-1) ?? -1 });
    }
  }
  const gfns = new Uint32Array(touched.count() || 1);
  return { layers, gfns: gfns.subarray(0, scanPages(touched, gfns).written) };
}

function* tasks(increments: readonly PageLink[]): Generator<Part[]> {
  let parts: Part[] = [];
  let bytes = 0;
  for (const link of increments) {
    for (const [batch, { length }] of link.reader.batches.entries()) {
      parts.push({ link, batch });
      bytes += length;
      if (bytes < TASK_BYTES) continue;
      yield parts;
      parts = [];
      bytes = 0;
    }
  }
  if (parts.length > 0) yield parts;
}
