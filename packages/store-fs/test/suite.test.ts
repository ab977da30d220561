import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeSuite } from '@fitdoc/compliance/store';
import { describe, it } from 'vitest';
import { FsStore } from '../src/index.js';

storeSuite(
  { describe, it },
  {
    name: 'store-fs',
    async open() {
      const root = await mkdtemp(join(tmpdir(), 'fitdoc-fs-'));
      return {
        store: new FsStore(root),
        another: async () => new FsStore(root),
        dispose: () => rm(root, { recursive: true, force: true }),
      };
    },
  },
);
