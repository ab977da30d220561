import type { Store } from '@fitdoc/interface';
import type { Runner } from '../runner.js';

/** A place for objects, empty at first, that one test has for itself. */
export interface StorePlace {
  readonly store: Store;
  /** A further handle on the same place, where the store can have several. */
  readonly another?: () => Promise<Store>;
  /** Removes the place after the test; the store may have been closed by then. */
  readonly dispose?: () => Promise<void>;
}

export interface StoreSuiteOptions {
  /** Shown in the suite's title. */
  readonly name: string;
  /** Makes a new, empty place. Called once a test. */
  open(): Promise<StorePlace>;
  /** Bytes of the largest object that is stored. Default 12 MiB. */
  readonly largeBytes?: number;
  /** Concurrent calls in the concurrency tests. Default 100. */
  readonly parallel?: number;
  /** Advice to the runner for each test. Default 30 000. */
  readonly timeoutMs?: number;
}

/** Declares tests that each get a place of their own. */
export class Places {
  readonly largeBytes: number;
  readonly parallel: number;

  constructor(
    private readonly runner: Runner,
    private readonly options: StoreSuiteOptions,
  ) {
    this.largeBytes = options.largeBytes ?? 12 * 1024 * 1024;
    this.parallel = options.parallel ?? 100;
  }

  test(name: string, body: (store: Store, place: StorePlace) => Promise<void>): void {
    this.runner.it(
      name,
      async () => {
        const place = await this.options.open();
        try {
          await body(place.store, place);
        } finally {
          await place.store.close();
          await place.dispose?.();
        }
      },
      this.options.timeoutMs ?? 30_000,
    );
  }
}
