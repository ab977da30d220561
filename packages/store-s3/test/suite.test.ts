import { storeSuite } from '@fitdoc/compliance/store';
import { describe, it } from 'vitest';
import { because, newPlace, openStore, withoutServer } from './support/server.js';

describe.skipIf(withoutServer !== undefined)(`on a real Ceph${because}`, () => {
  storeSuite(
    { describe, it },
    {
      name: 'store-s3',
      timeoutMs: 120_000,
      async open() {
        const place = newPlace();
        return { store: await openStore(place), another: () => openStore(place) };
      },
    },
  );
});
