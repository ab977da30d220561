import { storeSuite } from '@fitdoc/compliance/store';
import type { Store } from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';
import { describe, it } from 'vitest';
import { randomFaults, withBandwidthLimit, withFaults, withReadCache, withRetry } from '../src/index.js';

let seed = 0;
const fast = { attempts: 40, baseMs: 1, maxMs: 2 };

const decorated: Record<string, (store: Store) => Store> = {
  retry: (store) => withRetry(store),
  'retry over a store that fails one call in five': (store) =>
    withRetry(withFaults(store, randomFaults({ seed: ++seed, rate: 0.2 })), fast),
  'bandwidth limit': (store) =>
    withBandwidthLimit(store, { uploadBytesPerSecond: 200e6, downloadBytesPerSecond: 200e6 }),
  'read cache': (store) => withReadCache(store, { cacheable: () => true, maxBytes: 1_000_000 }),
  'no faults': (store) => withFaults(store, () => undefined),
  'all of them': (store) =>
    withReadCache(
      withBandwidthLimit(withRetry(withFaults(store, randomFaults({ seed: ++seed, rate: 0.05 })), fast), {
        uploadBytesPerSecond: 500e6,
      }),
      { cacheable: () => true },
    ),
};

for (const [name, decorate] of Object.entries(decorated)) {
  storeSuite(
    { describe, it },
    {
      name,
      async open() {
        const memory = new MemoryStore();
        return {
          store: decorate(memory),
          another: async () => decorate(new MemoryStore({ shareWith: memory })),
        };
      },
    },
  );
}
