import { PAGE_SIZE } from '@fitdoc/interface';
import { expect, it } from 'vitest';
import {
  bytesSource,
  openCheckpoint,
  verifyCheckpoint,
  type ContentItem,
  type VerifyOptions,
} from '../src/index.js';
import { recordChecksum } from '../src/seal.js';
import { failure, readAll } from './support/read.js';
import { changes, header, memory, plainCodec, sampleBase, write } from './support/sample.js';

const base = await sampleBase();
const items: ContentItem[] = [];
for (let at = 0; at < 100; at += 1) items.push(...changes(memory(1, at), new Uint8Array(PAGE_SIZE), at));
const many = await write(header(100), items);
const entries = (await openCheckpoint(bytesSource(many.bytes))).batches;

/** `many` with the given batches damaged. */
function damaged(...numbers: number[]): Uint8Array {
  const bytes = many.bytes.slice();
  for (const number of numbers) {
    const entry = entries[number];
    if (entry) bytes[entry.offset + 20] = (bytes[entry.offset + 20] ?? 0) ^ 4;
  }
  return bytes;
}

const verify = (bytes: Uint8Array, options: VerifyOptions) =>
  verifyCheckpoint(bytesSource(bytes), { codec: plainCodec, ...options });

it('finds nothing wrong with a valid checkpoint', async () => {
  expect(await verify(base.bytes, { data: true })).toEqual({
    ok: true,
    findings: [],
    checkedRecords: 5,
    records: 5,
    checkedBytes: expect.any(Number) as number,
  });
  expect(await verify(base.bytes, {})).toMatchObject({ ok: true, checkedRecords: 0, checkedBytes: 0 });
});

it('finds all that is wrong, and says which pages are lost', async () => {
  const report = await verify(damaged(3, 50, 99), { data: true });
  expect(report).toMatchObject({ ok: false, checkedRecords: 101, records: 101 });
  expect(report.findings.map(({ firstGfn, lastGfn, pages }) => [firstGfn, lastGfn, pages])).toEqual([
    [3, 3, 1],
    [50, 50, 1],
    [99, 99, 1],
  ]);
  for (const { code, record, offset } of report.findings) {
    expect(code).toBe('FORMAT_DAMAGED');
    expect(record).toBe('BTCH');
    expect(offset).toBeGreaterThan(0);
  }
});

it('reads the share of the batches that it is asked for', async () => {
  const bytes = damaged(...Array.from({ length: 100 }, (_, at) => at));
  for (const sample of [0.1, 0.25, 0.5]) {
    const report = await verify(bytes, { data: true, sample });
    expect(Math.abs(report.findings.length - sample * 100)).toBeLessThanOrEqual(1);
  }
  expect((await verify(bytes, { data: true, sample: 0 })).findings).toHaveLength(0);
});

it('reports progress', async () => {
  const done: number[] = [];
  await verify(many.bytes, { data: true, onProgress: (progress) => done.push(progress.done) });
  expect(done).toEqual(Array.from({ length: 101 }, (_, at) => at + 1));
});

it('walks an object that does not open, and says how far it is intact', async () => {
  const cut = damaged(3).slice(0, (entries[60]?.offset ?? 0) + 10);
  const report = await verify(cut, { data: true });
  expect(report.findings.map(({ code }) => code)).toEqual([
    'FORMAT_TRUNCATED',
    'FORMAT_DAMAGED',
    'FORMAT_TRUNCATED',
  ]);
  expect(report.findings[1]?.offset).toBe(entries[3]?.offset);
  expect(report.checkedRecords).toBe(61);
  expect(report.checkedBytes).toBe(entries[60]?.offset);
  const structure = await verify(cut, {});
  expect(structure.findings.map(({ code }) => code)).toEqual(['FORMAT_TRUNCATED']);
});

it('calls a foreign object foreign, once', async () => {
  const report = await verify(new TextEncoder().encode('something else'.repeat(100)), { data: true });
  expect(report.findings.map(({ code }) => code)).toEqual(['FORMAT_FOREIGN']);
});

it('finds a batch that was replaced together with its checksums, where the strong hash is asked for', async () => {
  // Whoever can write the store can make checksums fit: XXH64 keeps out accidents only.
  const bytes = many.bytes.slice();
  const [entry] = entries;
  const [offset, length] = [entry?.offset ?? 0, entry?.length ?? 0];
  const view = new DataView(bytes.buffer);
  const payload = bytes.subarray(offset + 16, offset + 16 + length);
  const before = recordChecksum(view.getUint32(offset, true), payload);
  payload[length - 1] = (payload[length - 1] ?? 0) ^ 1;
  const after = recordChecksum(view.getUint32(offset, true), payload);
  view.setBigUint64(offset + 8, after, true);
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    if (view.getBigUint64(at, true) === before) view.setBigUint64(at, after, true);
  }
  expect(await failure(() => readAll(bytes))).toBe('FORMAT_DAMAGED');
  expect((await verify(bytes, { data: true })).ok).toBe(false);
});
