import type { CallOptions } from '@fitdoc/interface';
import { Layer } from '../../workers/layer.js';
import type { WorkerPool } from '../../workers/pool.js';
import { nameObject } from '../name-object.js';
import type { PageLink } from '../replay.js';
import { RecentCache } from './recent-cache.js';

/** A batch of an increment. */
export interface BatchOf {
  readonly link: PageLink;
  readonly batch: number;
}

/** Batches of increments, decoded when they are first needed and kept up to a number of bytes. */
export class LayerCache {
  readonly #pool: WorkerPool;
  readonly #cache: RecentCache<SharedArrayBuffer>;

  constructor(pool: WorkerPool, limit: number) {
    this.#pool = pool;
    this.#cache = new RecentCache(limit, ({ byteLength }) => byteLength);
  }

  /**
   * What those batches say, in their order. Those that are not here yet are read at the same time and decoded by all
   * workers. Errors: FORMAT_*, CODEC_*, STORE_*.
   */
  async layers(batches: readonly BatchOf[], options: CallOptions): Promise<SharedArrayBuffer[]> {
    const missing = batches.filter((each) => this.#cache.get(keyOf(each)) === undefined);
    for (const group of groups(missing, this.#pool.workers)) this.#decode(group, options);
    // Not Promise.all of `get`: a decoded batch may be pushed out by the next before its turn comes.
    return Promise.all(batches.map((each) => this.#cache.get(keyOf(each)) ?? this.#one(each, options)));
  }

  #decode(group: readonly BatchOf[], options: CallOptions): void {
    const decoded = this.#read(group, options);
    group.forEach((each, index) => {
      const own = decoded.then((layers) => layers[index]!);
      own.catch(() => undefined);
      void this.#cache.set(keyOf(each), own);
    });
  }

  async #one(each: BatchOf, options: CallOptions): Promise<SharedArrayBuffer> {
    return (await this.#read([each], options))[0]!;
  }

  async #read(group: readonly BatchOf[], { signal }: CallOptions): Promise<readonly SharedArrayBuffer[]> {
    const entries = group.map(({ link }) => link.entry);
    const encoded = await Promise.all(
      group.map(({ link, batch }) =>
        link.reader.readEncodedBatch(batch, signal ? { signal } : {}).catch(nameObject([link.entry])),
      ),
    );
    return this.#pool.layers({ kind: 'layers', encoded }, signal).catch(nameObject(entries));
  }
}

/** The pages that a decoded batch has, ascending. */
export function gfnsOf(memory: SharedArrayBuffer): Uint32Array {
  return new Layer(memory).gfns;
}

function keyOf({ link, batch }: BatchOf): string {
  return `${link.entry.key}/${batch}`;
}

/** So many groups at most, so that all workers decode. */
function groups(batches: readonly BatchOf[], most: number): BatchOf[][] {
  const size = Math.ceil(batches.length / most);
  const found: BatchOf[][] = [];
  for (let first = 0; first < batches.length; first += size) found.push(batches.slice(first, first + size));
  return found;
}
