import { createHash } from 'node:crypto';
import { bytesSource, openCheckpoint } from '../../src/index.js';
import type { DamagedVector } from './damaged-vectors.js';
import { failure, readAll, streamAll, type DiskBatches } from './read.js';
import type { ValidVector } from './vectors.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `0x${item.toString(16)}` : item)),
  );

/** What a reader finds in a valid vector, as the JSON beside it says. Sums are SHA-256. */
export async function expectationOf(
  vector: ValidVector,
  previous: ValidVector | undefined,
): Promise<unknown> {
  const { header, summary, extensions, deviceState, disks } = await readAll(
    vector.bytes,
    previous?.deviceState,
  );
  const { batches } = await openCheckpoint(bytesSource(vector.bytes));
  return plain({
    about: vector.about,
    valid: true,
    bytes: vector.bytes.length,
    sha256: sha256(vector.bytes),
    header,
    summary,
    batches,
    deviceState: deviceState.map(({ name, bytes }) => ({ name, hex: Buffer.from(bytes).toString('hex') })),
    ...(disks.length > 0 && { disks: disks.map(diskOf) }),
    extensions: extensions.map(({ name, mandatory, bytes }) => ({
      name,
      mandatory,
      text: Buffer.from(bytes).toString(),
    })),
    replay: { after: vector.after, memorySha256: sha256(vector.image) },
  });
}

function diskOf({ batches, ...disk }: DiskBatches): unknown {
  return {
    ...disk,
    blocks: batches.flatMap(({ firstBlock, batch }) => [...batch.gfns].map((block) => firstBlock + block)),
  };
}

/** With which error code a damaged vector is refused, when all of it is read: at random, and as a stream. */
export async function refusalOf({ about, bytes }: DamagedVector): Promise<unknown> {
  const [random, stream] = [await failure(() => readAll(bytes)), await failure(() => streamAll(bytes))];
  return { about, valid: false, bytes: bytes.length, sha256: sha256(bytes), error: { random, stream } };
}
