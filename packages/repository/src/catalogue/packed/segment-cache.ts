/** Keeps segments near, by their digest. A cache that fails is as good as an empty one: it never throws. */
export interface SegmentCache {
  get(digest: string): Promise<Uint8Array | undefined>;
  put(digest: string, bytes: Uint8Array): Promise<void>;
}
