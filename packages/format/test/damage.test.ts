import { describe, expect, it } from 'vitest';
import { bytesSource, readSummary, verifyCheckpoint } from '../src/index.js';
import { failure, readAll, streamAll } from './support/read.js';
import { devices, plainCodec, sampleBase, sampleIncrement } from './support/sample.js';

const base = await sampleBase();
const increment = await sampleIncrement(base);
const TYPED =
  /^(?:FORMAT_(?:FOREIGN|VERSION|UNSUPPORTED|TRUNCATED|DAMAGED|LIMIT)|CODEC_(?:DAMAGED|UNKNOWN))$/;

const samples = [
  { name: 'a base', bytes: base.bytes, previous: undefined },
  { name: 'an increment', bytes: increment.bytes, previous: devices() },
];

describe.each(samples)('$name', { timeout: 120_000 }, ({ bytes, previous }) => {
  it.each([0xff, 0x01, 0x80])('with any byte changed by %i is refused with a typed error', async (flip) => {
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (bytes[at] ?? 0) ^ flip;
      const codes = [await failure(() => readAll(damaged, previous))];
      if (flip === 0xff) codes.push(await failure(() => streamAll(damaged, previous)));
      for (const code of codes)
        expect(`${at}: ${code}`).toMatch(new RegExp(`^${at}: ${TYPED.source.slice(1)}`));
    }
  });

  it('with any byte changed is no checkpoint to verify', async () => {
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (bytes[at] ?? 0) ^ 0x10;
      const report = await verifyCheckpoint(bytesSource(damaged), { data: true, codec: plainCodec });
      expect(`${at}: ${report.ok} ${report.findings.length > 0}`).toBe(`${at}: false true`);
    }
  });

  it('cut off anywhere is truncated', async () => {
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = bytes.slice(0, length);
      expect(`${length}: ${await failure(() => readAll(cut, previous))}`).toBe(`${length}: FORMAT_TRUNCATED`);
      expect(`${length}: ${await failure(() => streamAll(cut, previous))}`).toBe(
        `${length}: FORMAT_TRUNCATED`,
      );
      expect(await failure(() => readSummary(bytesSource(cut)))).toBe('FORMAT_TRUNCATED');
    }
  });

  it('with bytes after its end is refused', async () => {
    const longer = new Uint8Array(bytes.length + 8);
    longer.set(bytes);
    expect(await failure(() => readAll(longer, previous))).toBe('FORMAT_TRUNCATED');
    expect(await failure(() => streamAll(longer, previous))).toBe('FORMAT_DAMAGED');
  });

  it('with two neighbouring bytes exchanged is refused', async () => {
    for (let at = 1; at < bytes.length; at += 1) {
      if (bytes[at] === bytes[at - 1]) continue;
      const damaged = bytes.slice();
      damaged.set([bytes[at] ?? 0, bytes[at - 1] ?? 0], at - 1);
      expect(await failure(() => readAll(damaged, previous))).toMatch(TYPED);
    }
  });
});

describe('what is no checkpoint', () => {
  it('is foreign, or truncated when it is empty', async () => {
    const foreign = new TextEncoder().encode('PK\u0003\u0004 this is another kind of file '.repeat(900));
    for (const bytes of [foreign, foreign.subarray(0, 100), foreign.subarray(0, 3)]) {
      expect(await failure(() => readAll(bytes))).toBe('FORMAT_FOREIGN');
      expect(await failure(() => streamAll(bytes))).toBe('FORMAT_FOREIGN');
      expect(await failure(() => readSummary(bytesSource(bytes)))).toBe('FORMAT_FOREIGN');
    }
    expect(await failure(() => readAll(new Uint8Array(0)))).toBe('FORMAT_TRUNCATED');
  });

  it('may be the end of one checkpoint behind the beginning of another', async () => {
    const [one, other] = [base.bytes, increment.bytes];
    for (let cut = 200; cut < Math.min(one.length, other.length) - 200; cut += 64) {
      const mixed = new Uint8Array(Buffer.concat([one.subarray(0, cut), other.subarray(cut)]));
      expect(await failure(() => readAll(mixed, devices()))).toMatch(TYPED);
    }
  });
});
