import { createHash } from 'node:crypto';
import { MemoryStore } from '@fitdoc/store-memory';
import { Decrypter } from 'age-encryption';
import { bech32 } from '@scure/base';
import { describe, expect, it } from 'vitest';
import { KeyRing, KeySlots, parseKeyFile, parsePassphrase, SealedStore } from '../src/index.js';
import { newHeader } from '../src/object/layout.js';
import { ObjectKeys } from '../src/object/object-keys.js';
import { sealBytes, sealStream } from '../src/object/seal.js';
import { pieces, sample } from './support/data.js';
import { keyIdOf, openKeySlot, openObject, openPassphraseSlot } from './support/independent-reader.js';
import { makeVectors } from './support/make-vectors.js';
import { patterned, readVectors } from './support/vectors.js';

if (process.env['WRITE_VECTORS'] === 'sealing') await makeVectors();

const vectors = readVectors();
const key = Buffer.from(vectors.repositoryKey, 'hex');
const ring = KeyRing.decode(key);

describe('the test vectors', () => {
  it('name the key', () => {
    expect(ring.currentId).toBe(vectors.keyId);
    expect(keyIdOf(key)).toBe(vectors.keyId);
  });

  it.each(vectors.objects)('are what is sealed: $name', async (vector) => {
    const { name, scope, plainBytes, header, sealedSha256 } = vector;
    const bytes = Buffer.from(header, 'hex');
    const object = new ObjectKeys(ring, () => scope).of({ bytes, keyId: vectors.keyId }, name);
    const sealed = sealBytes(patterned(plainBytes), object);
    expect(createHash('sha256').update(sealed).digest('hex')).toBe(sealedSha256);
    expect(sealed.toString('hex', sealed.length - 16)).toBe(vector.lastTag);
    if (vector.sealed !== undefined) expect(sealed.toString('hex')).toBe(vector.sealed);
    const parts: Uint8Array[] = [];
    for await (const part of sealStream(pieces(patterned(plainBytes), [7, 70_001]), object)) parts.push(part);
    expect(Buffer.compare(Buffer.concat(parts), sealed)).toBe(0);
    expect(Buffer.compare(openObject(sealed, key, name, scope), patterned(plainBytes))).toBe(0);
  });

  it('are opened by every kind of secret', async () => {
    const store = new MemoryStore();
    for (const slot of vectors.slots)
      await store.put(`keys/${slot.id}.json`, Buffer.from(JSON.stringify(slot)));
    const slots = new KeySlots(store, vectors.repositoryId);
    const secrets = [
      parsePassphrase(Buffer.from(vectors.passphrase), ''),
      parseKeyFile(vectors.key, ''),
      parseKeyFile(vectors.identity, ''),
    ];
    for (const secret of secrets) {
      const unlocked = await slots.unlock([secret]);
      expect(unlocked.ring.encode().toString('hex')).toBe(vectors.repositoryKey);
    }
  });
});

describe('a reader that shares nothing with the package', () => {
  it('opens what it seals, and nothing that was touched', async () => {
    const beneath = new MemoryStore();
    const own = KeyRing.create();
    const store = new SealedStore(beneath, { ring: own, scopeOf: () => 'scope' });
    for (const length of [0, 1, 65_535, 65_536, 65_537, 300_000]) {
      await store.put(`k${length}`, pieces(sample(length), [50_000]));
      const sealed = await beneath.get(`k${length}`);
      expect(Buffer.compare(openObject(sealed, own.encode(), `k${length}`, 'scope'), sample(length))).toBe(0);
      sealed[sealed.length >> 1]! ^= 1;
      expect(() => openObject(sealed, own.encode(), `k${length}`, 'scope')).toThrow();
    }
  });

  it('opens the slots', async () => {
    const { repositoryId, passphrase, repositoryKey } = vectors;
    const [asPassphrase, asKey, asRecipient] = ['passphrase', 'key', 'recipient'].map((kind) =>
      vectors.slots.find((slot) => slot.kind === kind),
    );
    if (asPassphrase?.kind !== 'passphrase' || asKey?.kind !== 'key' || asRecipient?.kind !== 'recipient')
      throw new Error('a kind is missing');
    expect(Buffer.from(openPassphraseSlot(asPassphrase, passphrase, repositoryId)).toString('hex')).toBe(
      repositoryKey,
    );
    const { bytes } = bech32.decodeToBytes(vectors.key.toLowerCase());
    expect(Buffer.from(openKeySlot(asKey, bytes, repositoryId)).toString('hex')).toBe(repositoryKey);
    const decrypter = new Decrypter();
    decrypter.addIdentity(vectors.identity);
    const bound = Buffer.from(await decrypter.decrypt(Buffer.from(asRecipient.wrapped, 'base64')));
    const place = `fitdoc key-v1 recipient\0${repositoryId}\0${asRecipient.id}`;
    expect(bound.toString('hex', 0, 32)).toBe(createHash('sha256').update(place).digest('hex'));
    expect(bound.toString('hex', 32)).toBe(repositoryKey);
  });
});

it('a header is never the same twice', () => {
  const headers = new Set(Array.from({ length: 100 }, () => newHeader(ring.currentId).bytes.toString('hex')));
  expect(headers.size).toBe(100);
});
