import { randomUUID } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { isFitdocError, type Store } from '@fitdoc/interface';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  s3Error,
  startFaultProxy,
  type FaultProxy,
  type ProxiedRequest,
} from '../../../tools/lab/src/ceph/index.js';
import { parseS3Location } from '../src/location.js';
import { Placing, reservation } from '../src/placing.js';
import { S3Requests } from '../src/requests.js';
import { areEqual, chunksOf, sampleBytes } from './support/bytes.js';
import { bareClient, because, newPlace, openStore, server, withoutServer } from './support/server.js';

const never = new AbortController().signal;
const MIB = 2 ** 20;

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

describe.skipIf(withoutServer !== undefined)(`the commit of what goes up in parts${because}`, () => {
  let client: S3Client;
  beforeAll(() => void (client = bareClient()));
  afterAll(() => client.destroy());

  /** As a put that dies between its reservation and the completion leaves it. */
  async function reserve(
    place: string,
    key: string,
  ): Promise<{ uploadId: string; complete(): Promise<unknown> }> {
    const requests = new S3Requests(client, parseS3Location(place), 1);
    const target = requests.at(key);
    const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand(target));
    const part = { ...target, UploadId, PartNumber: 1 };
    const { ETag } = await client.send(new UploadPartCommand({ ...part, Body: 'late' }));
    await new Placing(requests).putIfAbsent(key, reservation(randomUUID(), UploadId), never);
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    const command = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload });
    return { uploadId: UploadId, complete: () => client.send(command) };
  }

  it('lets exactly one of racing puts win, small and large, over several handles', async () => {
    const place = newPlace();
    const stores = await Promise.all([1, 2, 3].map(() => openStore(place)));
    for (let round = 0; round < 3; round++) {
      const bodies = stores.map((_, i) => sampleBytes(i === 2 ? 5_000 : 6 * MIB + i, i + 1));
      const results = await Promise.allSettled(
        stores.map((store, i) => store.put(`race/${round}`, chunksOf(bodies[i]!, MIB))),
      );
      const winners = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
      for (const result of results)
        if (result.status === 'rejected') expect(isFitdocError(result.reason, 'STORE_EXISTS')).toBe(true);
      expect(winners).toHaveLength(1);
      expect(areEqual(await stores[0]!.get(`race/${round}`), bodies[winners[0]!]!)).toBe(true);
    }
    for (const store of stores) await store.close();
  });

  it('hides a reservation from every reader, and waits for its completion before it says who won', async () => {
    const place = newPlace();
    const store = await openStore(place);
    const pending = await reserve(place, 'k');
    expect(await keysOf(store)).toEqual([]);
    expect(await store.stat('k')).toBe(undefined);
    for (const range of [
      undefined,
      { offset: 3, length: 9 },
      { offset: 0, length: 0 },
      { offset: 9e6, length: 1 },
    ])
      await expect(store.get('k', range)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    const late = store.put('k', sampleBytes(10));
    setTimeout(() => void pending.complete(), 400);
    await expect(late).rejects.toMatchObject({ code: 'STORE_EXISTS' });
    expect(new TextDecoder().decode(await store.get('k'))).toBe('late');
    await store.close();
  });

  it('replaces a reservation whose owner is gone, who then cannot complete it any more', async () => {
    const place = newPlace();
    const store = await openStore(place);
    const dead = await reserve(place, 'k');
    class AnHourLater extends S3Requests {
      override now(): number {
        return super.now() + 61 * 60_000;
      }
    }
    const placing = new Placing(new AnHourLater(client, parseS3Location(place), 1));
    const contenders = Array.from({ length: 4 }, (_, i) => ({
      body: sampleBytes(100, i),
      storedBy: `p${i}`,
    }));
    const results = await Promise.allSettled(contenders.map((each) => placing.putIfAbsent('k', each, never)));
    const winners = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
    expect(winners).toHaveLength(1);
    await expect(dead.complete()).rejects.toThrow();
    expect(areEqual(await store.get('k'), contenders[winners[0]!]!.body)).toBe(true);
    await store.close();
  });

  it('keeps an object that happens to be as long as a reservation', async () => {
    const store = await openStore(newPlace());
    await store.put('same-length', sampleBytes(1021));
    expect(await keysOf(store)).toEqual(['same-length']);
    await store.close();
  });

  it('lists nothing that is no key, and leaves no probe behind', async () => {
    const place = newPlace();
    const store = await openStore(place);
    await store.put('a', chunksOf(sampleBytes(6 * MIB), MIB));
    const { prefix } = parseS3Location(place);
    const Bucket = server().bucket;
    for (const Key of ['with space', '.hidden', 'folder/', 'b'])
      await client.send(new PutObjectCommand({ Bucket, Key: prefix + Key, Body: 'x' }));
    expect(await keysOf(store)).toEqual(['a', 'b']);
    const all = await client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }));
    expect(all.Contents?.filter(({ Key }) => Key?.includes('.fitdoc'))).toEqual([]);
    await store.close();
  });
});

/** Servers of other abilities, made of the real one and a proxy that answers in its place. */
describe.skipIf(withoutServer !== undefined)(`servers of other abilities${because}`, () => {
  let proxy: FaultProxy;
  let client: S3Client;
  beforeAll(async () => {
    proxy = await startFaultProxy(server().endpoint);
    client = bareClient();
  });
  afterAll(async () => {
    client.destroy();
    await proxy.stop();
  });

  const target = ({ url }: ProxiedRequest): { Bucket: string; Key: string } => {
    const [, Bucket = '', ...rest] = new URL(url, 'http://x').pathname.split('/');
    return { Bucket, Key: rest.join('/') };
  };
  const isConditional = ({ headers }: ProxiedRequest): boolean => headers['if-none-match'] !== undefined;

  it('uses the condition of a server that takes it on the completion', async () => {
    proxy.plan = async (request) => {
      if (request.method !== 'POST' || !isConditional(request)) return undefined;
      const found = await client.send(new HeadObjectCommand(target(request))).catch(() => undefined);
      return found ? s3Error(412, 'PreconditionFailed') : undefined;
    };
    const store = await openStore(newPlace(proxy.endpoint));
    await store.put('one', chunksOf(sampleBytes(6 * MIB), MIB));
    const from = proxy.seen.length;
    await store.put('two', chunksOf(sampleBytes(6 * MIB), MIB));
    const puts = proxy.seen
      .slice(from)
      .filter(({ method, url }) => method === 'PUT' && !url.includes('partNumber'));
    expect(puts, 'no reservation').toEqual([]);
    expect(store.supports.conditionalPut).toBe(true);
    await expect(store.put('two', chunksOf(sampleBytes(6 * MIB), MIB))).rejects.toMatchObject({
      code: 'STORE_EXISTS',
    });
    await store.close();
  });

  it.each(['ignores', 'refuses'])(
    'writes to a server that %s the condition only when told to',
    async (does) => {
      proxy.plan = async (request) => {
        if (!isConditional(request)) return undefined;
        if (does === 'refuses') return s3Error(501, 'NotImplemented');
        await client.send(new PutObjectCommand({ ...target(request), Body: request.body }));
        return { status: 200, headers: { etag: '"x"' }, body: Buffer.alloc(0) };
      };
      const place = newPlace(proxy.endpoint);
      const strict = await openStore(place);
      const refusal = await strict.put('k', sampleBytes(10)).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: 'CAPABILITY_MISSING' });
      expect((refusal as { hint: string }).hint).toContain('conditionalPut = "weak"');
      await strict.close();
      const weak = await openStore(place, { conditionalPut: 'weak' });
      expect(weak.supports.conditionalPut).toBe(false);
      for (const size of [10, 6 * MIB]) {
        await weak.put(`k${size}`, chunksOf(sampleBytes(size), MIB));
        await expect(weak.put(`k${size}`, chunksOf(sampleBytes(size), MIB))).rejects.toMatchObject({
          code: 'STORE_EXISTS',
        });
        expect(areEqual(await weak.get(`k${size}`), sampleBytes(size))).toBe(true);
      }
      await weak.close();
    },
  );
});
