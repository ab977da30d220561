import type { ByteRange, CallOptions, ObjectStat, PutOptions, Store, StoreBody } from '@fitdoc/interface';
import type { Sleep } from './sleep.js';
import { TokenBucket } from './token-bucket.js';
import { WrappedStore } from './wrapped-store.js';

export interface BandwidthOptions {
  /** Bytes a second into the store, over all puts together. Default: no limit. */
  readonly uploadBytesPerSecond?: number;
  /** Bytes a second out of the store, over all gets together. Default: no limit. */
  readonly downloadBytesPerSecond?: number;
  /** Bytes that may pass at once after a pause. Default 1 MiB. */
  readonly burstBytes?: number;
  /** For tests: milliseconds. */
  readonly now?: () => number;
  readonly sleep?: Sleep;
}

const SLICE = 64 * 1024;
const BURST = 1 << 20;

/**
 * Slows bodies down to a rate, by back-pressure. A get is one call to the store, so it comes at full speed and
 * is handed on when its share of time is over.
 */
export function withBandwidthLimit(store: Store, options: BandwidthOptions): Store {
  return new BandwidthStore(store, options);
}

class BandwidthStore extends WrappedStore {
  readonly #up: TokenBucket;
  readonly #down: TokenBucket;

  constructor(inner: Store, options: BandwidthOptions) {
    super(inner);
    const burst = options.burstBytes ?? BURST;
    this.#up = new TokenBucket(options.uploadBytesPerSecond ?? Infinity, burst, options.now, options.sleep);
    this.#down = new TokenBucket(
      options.downloadBytesPerSecond ?? Infinity,
      burst,
      options.now,
      options.sleep,
    );
  }

  override put(key: string, body: StoreBody, options: PutOptions = {}): Promise<ObjectStat> {
    const hint = body instanceof Uint8Array ? { sizeHint: body.length } : {};
    return this.inner.put(key, paced(body, this.#up, options.signal), { ...hint, ...options });
  }

  override async get(key: string, range?: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    const bytes = await this.inner.get(key, range, options);
    await this.#down.take(bytes.length, options.signal);
    return bytes;
  }
}

async function* paced(
  body: StoreBody,
  bucket: TokenBucket,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    for (let at = 0; at < chunk.length; at += SLICE) {
      const slice = chunk.subarray(at, at + SLICE);
      await bucket.take(slice.length, signal);
      yield slice;
    }
  }
}
