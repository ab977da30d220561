import { describe, it } from 'vitest';
import { storeSuite } from '@fitdoc/compliance/store';
import { MemoryStore } from '../src/index.js';

storeSuite(
  { describe, it },
  {
    name: 'store-memory',
    async open() {
      const store = new MemoryStore();
      return { store, another: async () => new MemoryStore({ shareWith: store }) };
    },
  },
);
