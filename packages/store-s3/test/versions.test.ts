import { createHash } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { expect, describe, it } from 'vitest';
import { storeFactory } from '../src/index.js';
import {
  bareClient,
  because,
  credentialsFile,
  server,
  serverCredentials,
  withoutServer,
} from './support/server.js';

const one = new TextEncoder().encode('one');

async function versionsOf(Bucket: string, Prefix: string): Promise<string[]> {
  const { Versions = [], DeleteMarkers = [] } = await bareClient().send(
    new ListObjectVersionsCommand({ Bucket, Prefix }),
  );
  return [...Versions, ...DeleteMarkers].map(({ Key = '' }) => Key);
}

async function openIn(bucket: string) {
  return storeFactory.open(`${server().endpoint}/${bucket}/repository`, {
    // Ceph 16.2 ignores If-None-Match in buckets with versions.
    config: { credentialsFile: serverCredentials(), conditionalPut: 'weak' },
  });
}

describe.skipIf(withoutServer !== undefined)(`buckets that keep what is deleted${because}`, () => {
  it('with versions: what is of the moment leaves none, what is deleted stays, and that is said', async () => {
    const Bucket = 'versioned';
    const client = bareClient();
    await client.send(new CreateBucketCommand({ Bucket }));
    await client.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    );
    const strict = await storeFactory.open(`${server().endpoint}/${Bucket}/repository`, {
      config: { credentialsFile: serverCredentials() },
    });
    const refused = await strict.put('x', one).catch((error: unknown) => error);
    if (refused instanceof Error) {
      expect(refused).toMatchObject({
        code: 'CAPABILITY_MISSING',
        hint: expect.stringContaining('without versions') as string,
      });
    }
    await strict.close();
    const store = await openIn(Bucket);
    expect(store.supports.notes?.join('\n')).toMatch(/keeps versions: .* is paid for/);
    // As a lock lives: made, refreshed, released; another's that went stale, removed by who never wrote one.
    for (const lock of ['locks/a.json', 'locks/b.json']) {
      await store.put(lock, one);
      for (let round = 0; round < 3; round++) await store.put(lock, one, { mode: 'replace' });
    }
    await store.delete('locks/a.json', { forGood: true });
    const other = await openIn(Bucket);
    await other.delete('locks/b.json', { forGood: true });
    await other.close();
    expect(await versionsOf(Bucket, 'repository/locks/')).toEqual([]);
    expect(await versionsOf(Bucket, 'repository/.fitdoc/')).toEqual([]);
    await store.put('machines/web.bin', one);
    await store.put('machines/web.bin', one, { mode: 'replace' });
    await store.delete('machines/web.bin');
    expect(await store.stat('machines/web.bin')).toBe(undefined);
    expect(await versionsOf(Bucket, 'repository/machines/')).toHaveLength(3);
    await store.delete('machines/web.bin', { forGood: true });
    expect(await versionsOf(Bucket, 'repository/machines/')).toEqual([]);
    await store.close();
  });

  it('with object lock: everything works, nothing can be taken away, and that is said', async () => {
    const Bucket = 'locked';
    const client = bareClient();
    await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
    await client.send(
      new PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } },
        },
      }),
    );
    const store = await openIn(Bucket);
    expect(store.supports.notes?.join('\n')).toMatch(/Object lock keeps every version .* for 1 days/);
    await store.put('machines/a.bin', one);
    const large = new Uint8Array(9 << 20).fill(5);
    await store.put('machines/b.bin', large, { mode: 'replace' });
    expect((await store.get('machines/b.bin')).length).toBe(large.length);
    await store.delete('machines/a.bin', { forGood: true });
    await store.deleteMany?.(['machines/b.bin']);
    expect(await store.stat('machines/a.bin')).toBe(undefined);
    expect(await versionsOf(Bucket, 'repository/machines/a.bin')).not.toEqual([]);
    await store.close();
  });
});

/** Answers like AWS does for a bucket with object lock: no checksum, no put. */
async function demanding(): Promise<{ url: string; sums: (string | undefined)[]; close: () => void }> {
  const sums: (string | undefined)[] = [];
  const listener = http.createServer((request, response) => {
    request.resume().on('end', () => {
      const sum = request.headers['content-md5'];
      if (request.method === 'GET') response.writeHead(404).end();
      else if (request.method !== 'PUT') response.writeHead(request.method === 'HEAD' ? 200 : 204).end();
      else if (request.headers['if-none-match'] && sums.some((each) => each !== undefined)) {
        sums.push(String(sum));
        response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>');
      } else {
        sums.push(sum === undefined ? undefined : String(sum));
        const message =
          'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters';
        if (sum === undefined)
          response
            .writeHead(400)
            .end(`<Error><Code>InvalidRequest</Code><Message>${message}</Message></Error>`);
        else response.writeHead(200, { etag: '"x"' }).end();
      }
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sums, close: () => listener.close() };
}

describe('a server that asks for a checksum', () => {
  const credentials = (): string => credentialsFile({ accessKeyId: 'key', secretAccessKey: 'a-secret' });

  it('gets it from then on, right', async () => {
    const { url, sums, close } = await demanding();
    const store = await storeFactory.open(`${url}/bucket/place`, {
      config: { credentialsFile: credentials(), attempts: 1 },
    });
    await store.put('x', one, { mode: 'replace' });
    await store.put('x', one, { mode: 'replace' });
    const sum = createHash('md5').update(one).digest('base64');
    expect(sums).toEqual([undefined, sum, sum]);
    await store.close();
    close();
  });

  it('is quoted when it refuses for another reason', async () => {
    const words = 'Your   bucket policy says\n no on Sundays.';
    const listener = http.createServer((request, response) => {
      request.resume().on('end', () => {
        if (request.method === 'PUT')
          response.writeHead(403).end(`<Error><Code>AccessDenied</Code><Message>${words}</Message></Error>`);
        else response.writeHead(200).end();
      });
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    const store = await storeFactory.open(`http://127.0.0.1:${port}/bucket/place`, {
      config: { credentialsFile: credentials(), attempts: 1 },
    });
    await expect(store.put('x', one, { mode: 'replace' })).rejects.toMatchObject({
      code: 'STORE_DENIED',
      message: expect.stringContaining('AccessDenied 403: Your bucket policy says no on Sundays.') as string,
    });
    await store.close();
    listener.close();
  });
});
