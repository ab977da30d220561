import type { Shard } from './shard.js';

/** Pages of one shard, by the shard's own numbers, with what the batch shall call them. */
export interface Segment {
  readonly shard: Shard;
  readonly pages: Uint32Array;
  /** 1 for pages to store whole. */
  readonly forced: Uint8Array;
}
