import { describe, expect, it } from 'vitest';
import { bytesSource, openCheckpoint } from '../src/index.js';
import { decodeEnd } from '../src/end-record.js';
import { encodePrefix } from '../src/prefix.js';
import { contentHashOf, strongHash } from '../src/seal.js';
import { RECORD_DEVICE_STATE } from '../src/layout.js';
import { forge, type Forgery } from './support/forge.js';
import { takeApart } from './support/parts.js';
import { failure, readAll, streamAll } from './support/read.js';
import { changes, header, memory, plainCodec, sampleBase, write } from './support/sample.js';

const base = await sampleBase();
const parts = takeApart(base.bytes);
const end = decodeEnd(base.bytes, base.bytes.length);
const opening = (bytes: Uint8Array) => failure(() => openCheckpoint(bytesSource(bytes)));
const withClaim = (at: number, claim: object): Forgery => ({
  ...parts,
  records: parts.records.map((record, number) =>
    number === at ? { ...record, claim: { ...record.claim, ...claim } } : record,
  ),
});

describe('records that are right in themselves', () => {
  it('are refused where they do not belong', async () => {
    const items = [0, 1].flatMap((at) => changes(memory(1, at + 1), new Uint8Array(4096), at));
    const { bytes } = await write(header(2), items);
    const { batches } = await openCheckpoint(bytesSource(bytes));
    const [one, other] = [batches[0]?.offset ?? 0, batches[1]?.offset ?? 0];
    const size = other - one;
    expect(batches[0]?.length).toBe(batches[1]?.length);
    const exchanged = bytes.slice();
    exchanged.set(bytes.subarray(one, one + size), other);
    exchanged.set(bytes.subarray(other, other + size), one);
    const reader = await openCheckpoint(bytesSource(exchanged), { codec: plainCodec });
    expect(await failure(() => reader.readEncodedBatch(0))).toBe('FORMAT_DAMAGED');
    expect(await failure(() => reader.readEncodedBatch(1))).toBe('FORMAT_DAMAGED');
    expect(await failure(() => streamAll(exchanged))).toBe('FORMAT_DAMAGED');
    expect((await reader.verify({ data: true })).findings).toHaveLength(2);
  });

  it('must all be in the index', async () => {
    const unlisted = forge({ ...parts, unlisted: parts.records.slice(-1) });
    expect(await opening(unlisted)).toBe('FORMAT_DAMAGED');
    expect(await failure(() => streamAll(unlisted))).toBe('FORMAT_DAMAGED');
  });
});

describe('opening refuses', () => {
  it('an index that is not the one which the content hash stands for', async () => {
    // The content hash is that of the true index; the index beside it is another.
    const contentHash = contentHashOf(encodePrefix(), end.indexHash, strongHash(parts.summary));
    const forgery = withClaim(1, { hash: new Uint8Array(32).fill(3) });
    const bytes = forge({ ...forgery, end: { indexHash: end.indexHash, contentHash } });
    expect(await opening(bytes)).toBe('FORMAT_DAMAGED');
  });

  it.each<[string, Forgery, string]>([
    ['a batch that reaches beyond the machine', withClaim(3, { lastGfn: 8 }), 'FORMAT_DAMAGED'],
    ['batches that overlap', withClaim(3, { firstGfn: 2, lastGfn: 6 }), 'FORMAT_DAMAGED'],
    ['an END of a larger object', { ...parts, end: { size: base.bytes.length + 8 } }, 'FORMAT_TRUNCATED'],
    ['an END of a smaller object', { ...parts, end: { size: base.bytes.length - 8 } }, 'FORMAT_DAMAGED'],
  ])('%s', async (_name, forgery, code) => {
    expect(await opening(forge(forgery))).toBe(code);
  });
});

it('a device state that hangs on another parent than the header names is refused', async () => {
  const before = new Uint8Array(8192).map((_, at) => (at * at + 3 * at + 1) >>> 3);
  const previous = [{ name: 'cpu', bytes: before }];
  const item = {
    type: 'deviceState',
    state: [{ name: 'cpu', bytes: before.slice().fill(9, 0, 8) }],
    previous,
  } as const;
  const { bytes, summary } = await write(header(8, 1, base.summary), [item]);
  expect(summary.deviceStateDelta).toBe(true);
  const apart = takeApart(bytes);
  const records = apart.records.map((record) => {
    const payload = record.payload.slice();
    if (record.type === RECORD_DEVICE_STATE) payload[60] = (payload[60] ?? 0) ^ 1;
    return { ...record, payload };
  });
  expect(await failure(() => readAll(forge(apart), previous))).toBe('no error');
  expect(await failure(() => readAll(forge({ ...apart, records }), previous))).toBe('FORMAT_DAMAGED');
  expect(await failure(() => streamAll(forge({ ...apart, records }), previous))).toBe('FORMAT_DAMAGED');
});
