import {
  deleteAll,
  type ByteRange,
  type CallOptions,
  type DeleteOptions,
  type DeleteFailure,
  type ListOptions,
  type ObjectStat,
  type PutOptions,
  type Store,
  type StoreBody,
  type StoreSupports,
} from '@fitdoc/interface';

/** A store that does what another does; what a decorator changes, it overrides. */
export class WrappedStore implements Store {
  readonly specificationVersion = 'store-v1';

  constructor(protected readonly inner: Store) {}

  get supports(): StoreSupports {
    return this.inner.supports;
  }

  get location(): string {
    return this.inner.location;
  }

  put(key: string, body: StoreBody, options?: PutOptions): Promise<ObjectStat> {
    return this.inner.put(key, body, options);
  }

  get(key: string, range?: ByteRange, options?: CallOptions): Promise<Uint8Array> {
    return this.inner.get(key, range, options);
  }

  stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined> {
    return this.inner.stat(key, options);
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectStat> {
    return this.inner.list(prefix, options);
  }

  delete(key: string, options?: DeleteOptions): Promise<void> {
    return this.inner.delete(key, options);
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<DeleteFailure[]> {
    return deleteAll(this.inner, keys, options);
  }

  anchor(key: string, isOurs: (bytes: Uint8Array) => boolean): void {
    this.inner.anchor?.(key, isOurs);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
