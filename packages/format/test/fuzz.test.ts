import { readdir, readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forge } from './support/forge.js';
import { takeApart } from './support/parts.js';
import { failure, readAll, streamAll, type Contents } from './support/read.js';
import { devices, sampleBase, sampleIncrement } from './support/sample.js';

// FITDOC_FUZZ_MS sets how long each search goes on; what it finds belongs, as hex, in fixtures/fuzz.
const BUDGET_MS = Number(process.env['FITDOC_FUZZ_MS'] ?? 2500);
/** Of the processor, which others may have for longer than that. */
const MOST_CPU_MS = 2000;
const OUTCOME = /^(?:no error|FORMAT_[A-Z]+|CODEC_(?:DAMAGED|UNKNOWN))$/;

const base = await sampleBase();
const increment = await sampleIncrement(base);
const samples = [base.bytes, increment.bytes];
const fixtures = new URL('fixtures/fuzz/', import.meta.url);

/** Reads `bytes` in both ways: each ends with contents or a typed error, in time. Gives the outcomes. */
async function outcomes(bytes: Uint8Array): Promise<string[]> {
  const begin = process.cpuUsage();
  const codes = [
    await failure(() => readAll(bytes, devices())),
    await failure(() => streamAll(bytes, devices(), 777)),
  ];
  for (const code of codes) expect(code).toMatch(OUTCOME);
  const { user, system } = process.cpuUsage(begin);
  expect((user + system) / 1000).toBeLessThan(MOST_CPU_MS);
  return codes;
}

interface Edit {
  readonly at: number;
  readonly kind: 'set' | 'word' | 'cut' | 'insert' | 'copy';
  readonly value: number;
  readonly length: number;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(10_000),
  kind: fc.constantFrom('set', 'word', 'cut', 'insert', 'copy'),
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000, 4096)),
  length: fc.integer({ min: 1, max: 40 }),
});

function apply(bytes: Uint8Array, { at, kind, value, length }: Edit): Uint8Array {
  const where = bytes.length === 0 ? 0 : at % bytes.length;
  const result = bytes.slice();
  if (kind === 'set') result.fill(value & 255, where, where + 1);
  if (kind === 'word' && where + 4 <= bytes.length) new DataView(result.buffer).setUint32(where, value, true);
  if (kind === 'copy')
    result.copyWithin(where, value % (bytes.length || 1), (value % (bytes.length || 1)) + length);
  if (kind === 'cut') return new Uint8Array([...bytes.subarray(0, where), ...bytes.subarray(where + length)]);
  if (kind !== 'insert') return result;
  return new Uint8Array([
    ...bytes.subarray(0, where),
    ...new Uint8Array(length).fill(value & 255),
    ...bytes.subarray(where),
  ]);
}

const budget = {
  interruptAfterTimeLimit: BUDGET_MS,
  numRuns: Number.MAX_SAFE_INTEGER,
  markInterruptAsFailure: false,
};
const edits = fc.array(edit, { minLength: 1, maxLength: 4 });

describe('the readers, fed with anything,', () => {
  const timeout = BUDGET_MS + 20_000;

  it('refuse a checkpoint with any edits', { timeout }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...samples), edits, async (bytes, list) => {
        const damaged = list.reduce(apply, bytes);
        const codes = await outcomes(damaged);
        if (Buffer.compare(damaged, bytes) !== 0) expect(codes).not.toContain('no error');
      }),
      budget,
    );
  });

  it('stand a checkpoint with edits whose checksums and hashes were made to fit', { timeout }, async () => {
    const apart = samples.map(takeApart);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...apart), fc.nat(), edits, async (parts, which, list) => {
        const target = which % (parts.records.length + 1);
        const records = parts.records.map((record, number) =>
          number === target ? { ...record, payload: list.reduce(apply, record.payload) } : record,
        );
        const summary = target === parts.records.length ? list.reduce(apply, parts.summary) : parts.summary;
        const bytes = forge({ records, summary });
        const [random] = await outcomes(bytes);
        if (random === 'no error') checkPages(await readAll(bytes, devices()));
      }),
      budget,
    );
  });

  it('refuse noise', async () => {
    const noise = fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
      expect(await outcomes(bytes)).not.toContain('no error');
    });
    await fc.assert(noise, { numRuns: 300 });
  });

  it('stand what was found before', async () => {
    const names = (await readdir(fixtures)).filter((name) => name.endsWith('.hex'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const text = await readFile(new URL(name, fixtures), 'utf8');
      await outcomes(new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex')));
    }
  });
});

/** Whatever was edited: pages ascend, lie in the machine, and the columns fit them. */
function checkPages({ batches, header }: Contents): void {
  const pages = header.machine.regions.reduce((sum, region) => sum + region.pages, 0);
  let next = 0;
  for (const { gfns, kinds } of batches) {
    expect(kinds.length).toBe(gfns.length);
    for (const gfn of gfns) {
      expect(gfn).toBeGreaterThanOrEqual(next);
      next = gfn + 1;
    }
  }
  expect(next).toBeLessThanOrEqual(pages);
}
