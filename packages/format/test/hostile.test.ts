import { describe, expect, it } from 'vitest';
import { bytesSource, openCheckpoint, type RangedSource } from '../src/index.js';
import { encodeJson } from '../src/canonical-json.js';
import {
  OPTIONAL_BIT,
  RECORD_BATCH,
  RECORD_DEVICE_STATE,
  RECORD_END,
  RECORD_EXTENSION,
  RECORD_HEADER,
} from '../src/layout.js';
import { headerWith } from './support/damaged-vectors.js';
import { forge, type Forgery } from './support/forge.js';
import { takeApart } from './support/parts.js';
import { failure, readAll, streamAll } from './support/read.js';
import { plainCodec, sampleBase } from './support/sample.js';

const base = await sampleBase();
const parts = takeApart(base.bytes);
const FOREIGN_TYPE = 0x3158_4554; // "TEX1"

const codesOf = async (forgery: Forgery) => {
  const bytes = forge(forgery);
  return [await failure(() => readAll(bytes)), await failure(() => streamAll(bytes))];
};
const withSummary = (change: Record<string, unknown>): Forgery => {
  const summary = JSON.parse(new TextDecoder().decode(parts.summary)) as Record<string, unknown>;
  return { ...parts, summary: encodeJson({ ...summary, ...change }) };
};
const withRecord = (
  type: number,
  change: (payload: Uint8Array, view: DataView) => Uint8Array | void,
): Forgery => {
  const records = parts.records.map((record) => {
    if ((record.type & ~OPTIONAL_BIT) !== (type & ~OPTIONAL_BIT)) return record;
    const payload = record.payload.slice();
    return { ...record, payload: change(payload, new DataView(payload.buffer)) ?? payload };
  });
  return { ...parts, records };
};
const withClaim = (at: number, claim: object): Forgery => ({
  ...parts,
  records: parts.records.map((record, number) =>
    number === at ? { ...record, claim: { ...record.claim, ...claim } } : record,
  ),
});
const insert = (at: number, type: number, payload = new Uint8Array(8), claim = {}): Forgery => ({
  ...parts,
  records: parts.records.toSpliced(at, 0, { type, payload, claim }),
});

describe('an object with right hashes and wrong contents', () => {
  it('is told from one that is forged rightly', async () => {
    expect(forge(parts)).toEqual(base.bytes);
    expect(await codesOf(parts)).toEqual(['no error', 'no error']);
  });

  it('may have an unknown record when that is optional', async () => {
    const optional = insert(2, (FOREIGN_TYPE | OPTIONAL_BIT) >>> 0);
    expect(await codesOf(optional)).toEqual(['no error', 'no error']);
    expect(await codesOf(insert(2, FOREIGN_TYPE))).toEqual(['FORMAT_UNSUPPORTED', 'FORMAT_UNSUPPORTED']);
  });

  it('is refused as a derived one when its device state needs its parent', async () => {
    const derived = { state: 'a'.repeat(64), role: 'base' };
    const { records } = withRecord(RECORD_HEADER, (payload) => headerWith(payload, derived));
    const whole = (more: object): Forgery => ({ ...withSummary({ ...derived, ...more }), records });
    expect(await codesOf(whole({}))).toEqual(['no error', 'no error']);
    const opening = openCheckpoint(bytesSource(forge(whole({ deviceStateDelta: true }))));
    await expect(opening).rejects.toMatchObject({
      code: 'FORMAT_DAMAGED',
      message: expect.stringContaining('stand alone') as string,
    });
  });

  it('of a newer version is refused as that', async () => {
    expect(await codesOf({ ...parts, version: 3 })).toEqual(['FORMAT_VERSION', 'FORMAT_VERSION']);
    expect(await codesOf({ ...parts, version: 0 })).toEqual(['FORMAT_VERSION', 'FORMAT_VERSION']);
  });

  const jsonHeader = (change: (text: string) => string) =>
    withRecord(RECORD_HEADER, (payload) => {
      const text = change(new TextDecoder().decode(payload.subarray(80)));
      const changed = new Uint8Array(Buffer.concat([payload.subarray(0, 80), Buffer.from(text)]));
      new DataView(changed.buffer).setUint32(40, changed.length - 80, true);
      return changed;
    });

  it.each<[string, Forgery]>([
    ['a summary with another number of pages', withSummary({ pages: 5, wordPages: 5 })],
    ['a summary of another machine', withSummary({ machineId: 'other' })],
    ['a summary of another kind', withSummary({ kind: 'increment' })],
    ['a summary with another parent', withSummary({ kind: 'increment', parentContentHash: 'a'.repeat(64) })],
    ['a summary that supersedes another', withSummary({ supersedes: ['a'.repeat(64)] })],
    ['a summary of another state', withSummary({ state: 'a'.repeat(64), role: 'base' })],
    ['a summary with a role alone', withSummary({ role: 'base' })],
    ['a summary with a role that is none', withSummary({ state: 'a'.repeat(64), role: 'ladder' })],
    ['a summary with a negative count', withSummary({ pages: -1 })],
    ['a summary of another device state', withSummary({ deviceStateBytes: 1 })],
    ['a summary that is not canonical', { ...parts, summary: new Uint8Array([...parts.summary, 32]) }],
    ['a summary that is no JSON', { ...parts, summary: Uint8Array.of(123, 255) }],
    ['a summary nested deeply', { ...parts, summary: new TextEncoder().encode('['.repeat(60_000)) }],
    ['no header', { ...parts, records: parts.records.slice(1) }],
    ['two headers', { ...parts, records: parts.records.toSpliced(1, 0, ...parts.records.slice(0, 1)) }],
    ['a header that is too short', withRecord(RECORD_HEADER, (payload) => payload.slice(0, 60))],
    [
      'a header with another page size',
      withRecord(RECORD_HEADER, (_, view) => view.setUint32(0, 8192, true)),
    ],
    ['a header of an unknown kind', withRecord(RECORD_HEADER, (_, view) => view.setUint32(36, 7, true))],
    [
      'a header with an unsafe number',
      withRecord(RECORD_HEADER, (_, view) => view.setUint32(12, 0xffff_ffff, true)),
    ],
    ['a header with too many pages', withRecord(RECORD_HEADER, (_, view) => view.setUint32(32, 9, true))],
    ['a machine without name', jsonHeader((text) => text.replace('"name":"Guest 1",', ''))],
    ['an address with leading zeros', jsonHeader((text) => text.replace('"0x0"', '"0x00"'))],
    ['a name that is twice there', jsonHeader((text) => text.replace('{', '{"tool":"x",'))],
    [
      'batches in the wrong order',
      {
        ...parts,
        records: parts.records.toSorted((a, b) => (b.claim.firstGfn ?? 0) - (a.claim.firstGfn ?? 0)),
      },
    ],
    ['a batch beyond the machine', withClaim(3, { lastGfn: 8 })],
    ['a batch with more pages than gfns', withClaim(1, { pages: 4 })],
    ['a batch of no pages', withClaim(1, { pages: 0 })],
    ['a device state that claims pages', withClaim(2, { pages: 1 })],
    ['a record that claims another place', withClaim(2, { offset: 64 })],
    ['two device states', { ...parts, records: parts.records.toSpliced(3, 0, ...parts.records.slice(2, 3)) }],
    ['an END record among the records', insert(2, RECORD_END)],
    ['a batch that is optional', insert(2, (RECORD_BATCH | OPTIONAL_BIT) >>> 0)],
    ['an extension that is too short', insert(2, RECORD_EXTENSION, new Uint8Array(3))],
    ['an extension without name', insert(2, RECORD_EXTENSION, new Uint8Array(64))],
    ['a device state that is too short', withRecord(RECORD_DEVICE_STATE, (payload) => payload.slice(0, 100))],
    ['a device state cut off', withRecord(RECORD_DEVICE_STATE, (payload) => payload.slice(0, -8))],
    [
      'a device state with a tail',
      withRecord(RECORD_DEVICE_STATE, (payload) => new Uint8Array([...payload, 0, 0, 0, 0, 0, 0, 0, 0])),
    ],
    [
      'a device state encoded in a third way',
      withRecord(RECORD_DEVICE_STATE, (_, view) => view.setUint32(0, 2, true)),
    ],
    ['a device state of another hash', withRecord(RECORD_DEVICE_STATE, (payload) => void (payload[20] = 77))],
    [
      'a device state with a parent in a base',
      withRecord(RECORD_DEVICE_STATE, (payload) => void (payload[50] = 77)),
    ],
    ['an END that places the index elsewhere', { ...parts, end: { indexOffset: 16 } }],
    ['an END with another hash', { ...parts, end: { contentHash: new Uint8Array(32) } }],
    ['an END with another index hash', { ...parts, end: { indexHash: new Uint8Array(32) } }],
    ['an END with fewer records', { ...parts, end: { records: 2 } }],
  ])('%s', async (_name, forgery) => {
    for (const code of await codesOf(forgery)) expect(code).toBe('FORMAT_DAMAGED');
  });

  it('a batch of other pages than the index says never yields a page', async () => {
    const bytes = forge(withClaim(3, { firstGfn: 5, lastGfn: 6 }));
    const reader = await openCheckpoint(bytesSource(bytes), { codec: plainCodec });
    expect(await failure(() => reader.readBatch(1))).toBe('FORMAT_DAMAGED');
    const report = await reader.verify({ data: true });
    expect(report.findings).toMatchObject([
      { code: 'FORMAT_DAMAGED', record: 'BTCH', firstGfn: 5, lastGfn: 6 },
    ]);
  });

  it('a summary with other words than the batches have is found by a full verify', async () => {
    const reader = await openCheckpoint(bytesSource(forge(withSummary({ changedWords: 1 }))));
    const report = await reader.verify({ data: true });
    expect(report.findings).toMatchObject([{ code: 'FORMAT_DAMAGED', record: 'SUMM' }]);
  });
});

describe('sizes that an object claims', () => {
  /** An object of `size` bytes that has `bytes` at its end, its beginning at its beginning, and zeros between. */
  const claiming = (bytes: Uint8Array, size: number): RangedSource & { asked: number } => {
    const source = {
      size,
      asked: 0,
      read: async (offset: number, length: number) => {
        source.asked = Math.max(source.asked, length);
        const part = new Uint8Array(Math.min(length, 1 << 20));
        if (offset === 0) part.set(bytes.subarray(0, part.length).subarray(0, 1000));
        else part.set(bytes, part.length - bytes.length);
        return part;
      },
    };
    return source;
  };

  it.each<[string, object, string]>([
    ['too many records', { records: 2 ** 23 + 1, indexLength: 0xffff_fff0 }, 'FORMAT_LIMIT'],
    ['a summary of 4 GiB', { summaryLength: 0xffff_ffff }, 'FORMAT_LIMIT'],
    ['an index of 4 GiB', { indexLength: 0xffff_fff8 }, 'FORMAT_DAMAGED'],
    ['an index before the object', { indexOffset: 2 ** 52 }, 'FORMAT_DAMAGED'],
  ])('%s', async (_name, end, code) => {
    const size = 2 ** 40;
    const source = claiming(forge({ ...parts, end: { size, ...end } }), size);
    expect(await failure(() => openCheckpoint(source))).toBe(code);
    expect(source.asked).toBeLessThanOrEqual(16_384);
  });

  it.each<[string, number]>([
    ['a batch', RECORD_BATCH],
    ['a header', RECORD_HEADER],
    ['a device state', RECORD_DEVICE_STATE],
    ['an extension', RECORD_EXTENSION],
    ['an unknown optional record', (FOREIGN_TYPE | OPTIONAL_BIT) >>> 0],
  ])('%s of 2 GiB in a stream is refused at once', async (_name, type) => {
    const head = parts.records.slice(0, type === RECORD_HEADER ? 0 : 1);
    const bytes = forge({ ...parts, records: [...head, { type, payload: new Uint8Array(8) }] });
    const at = 16 + head.reduce((sum, { payload }) => sum + 16 + Math.ceil(payload.length / 8) * 8, 0);
    new DataView(bytes.buffer).setUint32(at + 4, 0x7fff_ffff, true);
    expect(await failure(() => streamAll(bytes))).toBe('FORMAT_LIMIT');
  });

  it('a device state of 2^50 bytes', async () => {
    const forgery = withRecord(RECORD_DEVICE_STATE, (_, view) => view.setUint32(112 + 12, 2 ** 18, true));
    expect((await codesOf(forgery))[0]).toBe('FORMAT_LIMIT');
  });

  it('a device state of 2^32 parts', async () => {
    const forgery = withRecord(RECORD_DEVICE_STATE, (_, view) => view.setUint32(4, 0xffff_ffff, true));
    expect((await codesOf(forgery))[0]).toBe('FORMAT_LIMIT');
  });
});
