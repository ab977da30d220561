import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { MemoryStore } from '@fitdoc/store-memory';
import { generateIdentity } from 'age-encryption';
import {
  KeyRing,
  KeySlots,
  newKeyText,
  parseKeyFile,
  parsePassphrase,
  SealedStore,
} from '../../src/index.js';
import { patterned } from './vectors.js';

const REPOSITORY = '6f1c1d2e-5a5b-4c3d-8e9f-0a1b2c3d4e5f';
/** Writes the test vectors of spec/sealing-v1.md anew, with new keys. */
export async function makeVectors(): Promise<void> {
  const ring = KeyRing.create();
  const objects: object[] = [];
  for (const [name, plainBytes] of [
    ['machines/web/checkpoints/0000000001-01760000000000-0123456789ab.fitdoc', 131_077],
    ['tags/nightly/00000001.json', 57],
    ['tags/empty/00000001.json', 0],
    ['catalogue/web/segments/checkpoints/one.seg', 65_536],
  ] as const) {
    const beneath = new MemoryStore();
    const scope = name.startsWith('machines/') ? '' : REPOSITORY;
    await new SealedStore(beneath, { ring, scopeOf: () => scope }).put(name, patterned(plainBytes));
    const sealed = await beneath.get(name);
    objects.push({
      name,
      scope,
      plainBytes,
      header: Buffer.from(sealed.subarray(0, 48)).toString('hex'),
      lastTag: Buffer.from(sealed.subarray(-16)).toString('hex'),
      sealedSha256: createHash('sha256').update(sealed).digest('hex'),
      ...(plainBytes < 100 && { sealed: Buffer.from(sealed).toString('hex') }),
    });
  }
  const store = new MemoryStore();
  const slots = new KeySlots(store, REPOSITORY, { scrypt: { cost: 1024, blockSize: 8, parallelization: 1 } });
  const passphrase = 'grüne Äpfel, vier';
  const key = newKeyText();
  const identity = await generateIdentity();
  await slots.add(ring, parsePassphrase(Buffer.from(passphrase), ''), 'passphrase');
  await slots.add(ring, parseKeyFile(key, ''), 'key');
  await slots.add(ring, parseKeyFile(identity, ''), 'age');
  const vectors = {
    repositoryId: REPOSITORY,
    repositoryKey: ring.encode().toString('hex'),
    keyId: ring.currentId,
    objects,
    passphrase,
    key,
    identity,
    slots: await slots.list(),
  };
  await writeFile(
    new URL('../../vectors/sealing-v1.json', import.meta.url),
    `${JSON.stringify(vectors, null, 2)}\n`,
  );
}
