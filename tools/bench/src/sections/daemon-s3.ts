import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { Store } from '@fitdoc/interface';
import { storeFactory } from '@fitdoc/store-s3';
import { missingForCeph, startCeph, type RunningCeph } from '../../../lab/src/ceph/index.js';
import type { BenchContext } from '../context.js';
import type { Row, Section } from '../section.js';
import { pairedRatio, type Contender, type Timing } from '../timing.js';

const MIB = 2 ** 20;
const PART_BYTES = 8 * MIB;
const CHUNK_BYTES = 256 * 1024;

export const section: Section = {
  name: 's3',
  title: 'The S3 store against the bare SDK, on a Ceph gateway of this machine',
  requires: missingForCeph,
  async run(context) {
    const ceph = await startCeph();
    try {
      return await measure(context, ceph);
    } finally {
      await ceph.stop();
    }
  },
};

async function measure(context: BenchContext, ceph: RunningCeph): Promise<Row[]> {
  const { endpoint, bucket, accessKeyId, secretAccessKey } = ceph;
  const credentials = { accessKeyId, secretAccessKey };
  const credentialsFile = path.join(await context.temporaryDirectory(), 'credentials.json');
  await writeFile(credentialsFile, JSON.stringify(credentials));
  const store = await storeFactory.open(`${endpoint}/${bucket}/ours`, { config: { credentialsFile } });
  const client = new S3Client({
    endpoint,
    credentials,
    region: 'us-east-1',
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  try {
    const rows: Row[] = [];
    for (const mebibytes of context.quick ? [4, 32] : [4, 32, 64]) {
      context.log(`${mebibytes} MiB`);
      rows.push(...(await measureSize(context, { store, client, bucket }, mebibytes * MIB)));
    }
    return rows;
  } finally {
    client.destroy();
    await store.close();
  }
}

interface Ways {
  readonly store: Store;
  readonly client: S3Client;
  readonly bucket: string;
}

/** All of a size store the same bytes under new keys, and delete them untimed: the server keeps them in memory. */
async function measureSize(context: BenchContext, ways: Ways, size: number): Promise<Row[]> {
  const bytes = randomBytes(size);
  const rounds = context.quick ? 3 : 5;
  const ups = await context.compare(uploads(ways, bytes), { rounds, sampleMs: 0, warmUpMs: 1 });
  await ways.store.put('down', bytes);
  const downs = await context.compare(downloads(ways, size), { rounds, sampleMs: 0, warmUpMs: 1 });
  await ways.store.delete('down');
  const name = `${size / MIB} MiB`;
  return [...toRows(`up, ${name}`, size, ups), ...toRows(`down, ${name}`, size, downs)];
}

function uploads({ store, client, bucket }: Ways, bytes: Uint8Array): Contender[] {
  const Bucket = bucket;
  let key = '';
  const prepare = async (): Promise<void> => {
    if (key) await store.delete(key);
    key = randomUUID();
  };
  // The same place for all, so that each clears away what the one before it stored.
  const Key = (): string => `ours/${key}`;
  return [
    {
      name: 'SDK, PutObject of a buffer',
      prepare,
      run: async () => void (await client.send(new PutObjectCommand({ Bucket, Key: Key(), Body: bytes }))),
    },
    {
      name: 'SDK, Upload of a buffer',
      prepare,
      run: async () => {
        const params = { Bucket, Key: Key(), Body: bytes };
        await new Upload({ client, params, partSize: PART_BYTES, queueSize: 4 }).done();
      },
    },
    {
      name: 'SDK, Upload of a stream',
      prepare,
      run: async () => {
        const params = { Bucket, Key: Key(), Body: Readable.from(chunksOf(bytes), { objectMode: false }) };
        await new Upload({ client, params, partSize: PART_BYTES, queueSize: 4 }).done();
      },
    },
    { name: 'fitdoc put of a buffer', prepare, run: async () => void (await store.put(key, bytes)) },
    {
      name: 'fitdoc put of a stream',
      prepare,
      run: async () => void (await store.put(key, chunksOf(bytes))),
    },
  ];
}

function downloads({ store, client, bucket }: Ways, size: number): Contender[] {
  const command = (): GetObjectCommand => new GetObjectCommand({ Bucket: bucket, Key: 'ours/down' });
  return [
    {
      name: 'SDK, GetObject into a buffer',
      run: async () => {
        const answer = await client.send(command());
        expectSize(await answer.Body?.transformToByteArray(), size);
      },
    },
    { name: 'fitdoc get', run: async () => expectSize(await store.get('down'), size) },
  ];
}

function expectSize(bytes: Uint8Array | undefined, size: number): void {
  if (bytes?.length !== size) throw new Error(`got ${bytes?.length} bytes of ${size}`);
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES) yield bytes.subarray(from, from + CHUNK_BYTES);
}

/** The SDK's way of doing the same; a buffer of ours is one PUT up to what four parts could hold. */
function rivalOf(variant: string, size: number): string | undefined {
  if (variant === 'fitdoc get') return 'SDK, GetObject into a buffer';
  if (variant === 'fitdoc put of a stream') return 'SDK, Upload of a stream';
  if (variant !== 'fitdoc put of a buffer') return undefined;
  return size <= 4 * PART_BYTES ? 'SDK, PutObject of a buffer' : 'SDK, Upload of a buffer';
}

function toRows(name: string, size: number, timings: ReadonlyMap<string, Timing>): Row[] {
  return [...timings].map(([variant, timing]) => {
    const ratioTo = rivalOf(variant, size);
    const rival = ratioTo === undefined ? undefined : timings.get(ratioTo);
    return {
      name,
      variant,
      value: size / MIB / (timing.median / 1000),
      unit: 'MiB/s',
      // Of throughputs: the rival's time over ours.
      ...(ratioTo !== undefined &&
        rival && {
          ratio: pairedRatio(rival, timing),
          ratioTo,
          target: { of: 'ratio', atLeast: 0.8 } as const,
        }),
    };
  });
}
