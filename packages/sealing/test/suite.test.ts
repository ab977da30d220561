import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { storeSuite } from '@fitdoc/compliance/store';
import { storeFactory } from '@fitdoc/store-fs';
import { MemoryStore } from '@fitdoc/store-memory';
import { describe, it } from 'vitest';
import { KeyRing, SealedStore } from '../src/index.js';

const ring = KeyRing.create();

storeSuite(
  { describe, it },
  {
    name: 'sealed, in memory',
    async open() {
      const memory = new MemoryStore();
      return {
        store: new SealedStore(memory, { ring }),
        another: async () => new SealedStore(new MemoryStore({ shareWith: memory }), { ring }),
      };
    },
  },
);

storeSuite(
  { describe, it },
  {
    name: 'sealed, in a directory',
    async open() {
      const directory = await mkdtemp(path.join(tmpdir(), 'fitdoc-sealed-'));
      const open = async () =>
        new SealedStore(await storeFactory.open(directory, { create: true }), { ring });
      return {
        store: await open(),
        another: open,
        dispose: () => rm(directory, { recursive: true, force: true }),
      };
    },
  },
);
