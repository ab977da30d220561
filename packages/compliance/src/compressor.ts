import assert from 'node:assert/strict';
import { isFitdocError } from '@fitdoc/interface';
import type { Compressor, CreateCompressor } from '@fitdoc/interface';
import { sampleInputs, seededBytes } from './compressor-inputs.js';
import type { Runner } from './runner.js';

export type { Runner } from './runner.js';

export interface CompressorSuiteOptions {
  /** Heads the suite's report. */
  readonly name: string;
  /** What the module under test exports as `createCompressor`; called once a test. */
  readonly createCompressor: CreateCompressor;
  /** Levels to try besides one far below and one far above every method's range. Default 1 and 3. */
  readonly levels?: readonly number[];
  /**
   * How many times its own size an output may at most grow to when the input cannot be compressed, plus 1 KiB.
   * Default 1.02.
   */
  readonly worstGrowth?: number;
}

/**
 * Checks everything that the Compressor port promises, with the given runner and `node:assert`. Requires of
 * the runner that `describe` collects and `it` runs later.
 */
export function compressorSuite(runner: Runner, options: CompressorSuiteOptions): void {
  const open = async (): Promise<Compressor> => options.createCompressor();
  runner.describe(`compressor ${options.name}`, () => {
    identitySuite(runner, open);
    roundTripSuite(runner, open, options.levels ?? [1, 3]);
    ownershipSuite(runner, open);
    damageSuite(runner, open);
    runner.it('does not inflate what cannot be compressed', async () => {
      const compressor = await open();
      const noise = seededBytes(256 * 1024, 7);
      const limit = noise.length * (options.worstGrowth ?? 1.02) + 1024;
      assert.ok(compressor.compress(noise, 1).length <= limit);
    });
  });
}

type Open = () => Promise<Compressor>;

function identitySuite(runner: Runner, open: Open): void {
  runner.it('names itself and the version of the port', async () => {
    const compressor = await open();
    assert.equal(compressor.specificationVersion, 'compressor-v1');
    assert.match(compressor.name, /^[a-z0-9-]{1,16}$/);
    assert.equal((await open()).name, compressor.name);
  });
}

function roundTripSuite(runner: Runner, open: Open, levels: readonly number[]): void {
  for (const { name, bytes } of sampleInputs()) {
    runner.it(`gives back ${name} at every level`, async () => {
      const [writer, reader] = [await open(), await open()];
      // The highest levels take seconds for megabytes, and what they do differently shows in kilobytes.
      const tried = bytes.length < 128 * 1024 ? [-1_000_000, ...levels, 1_000_000] : levels;
      for (const level of tried) {
        const stored = writer.compress(bytes, level);
        assertSame(reader.decompress(stored, bytes.length), bytes);
      }
    });
  }
  runner.it('takes one input after another, small after large', async () => {
    const compressor = await open();
    for (let round = 0; round < 200; round += 1) {
      const bytes = seededBytes((round * 7919) % 70_000, round, 6);
      assertSame(compressor.decompress(compressor.compress(bytes, 1), bytes.length), bytes);
    }
  });
}

function ownershipSuite(runner: Runner, open: Open): void {
  const original = seededBytes(50_000, 3, 5);

  runner.it('reads shared memory and views that start at odd offsets', async () => {
    const compressor = await open();
    const shared = new Uint8Array(new SharedArrayBuffer(original.length + 3), 3);
    shared.set(original);
    assertSame(compressor.decompress(compressor.compress(shared, 1), original.length), original);

    const stored = compressor.compress(original, 1);
    const sharedStored = new Uint8Array(new SharedArrayBuffer(stored.length + 5), 5);
    sharedStored.set(stored);
    assertSame(compressor.decompress(sharedStored, original.length), original);
  });

  runner.it('leaves its input alone, and hands out memory that stays as it is', async () => {
    const compressor = await open();
    const input = original.slice();
    const first = compressor.compress(input, 1);
    const kept = first.slice();
    const restored = compressor.decompress(first, original.length);
    assertSame(input, original);
    assertSame(first, kept);
    input.fill(1);
    compressor.decompress(compressor.compress(input, 1), input.length);
    assertSame(first, kept);
    assertSame(restored, original);
  });
}

function damageSuite(runner: Runner, open: Open): void {
  const original = seededBytes(6_000, 11, 4);

  runner.it('refuses a wrong raw length with CODEC_DAMAGED', async () => {
    const compressor = await open();
    const stored = compressor.compress(original, 1);
    for (const length of [0, 1, original.length - 1, original.length + 1, original.length * 2]) {
      assertDamaged(() => compressor.decompress(stored, length), `raw length ${length}`);
    }
  });

  runner.it('refuses every truncation with CODEC_DAMAGED', async () => {
    const compressor = await open();
    const stored = compressor.compress(original, 1);
    for (let length = 0; length < stored.length; length += 1 + (length >> 6)) {
      assertDamaged(
        () => compressor.decompress(stored.subarray(0, length), original.length),
        `${length} bytes`,
      );
    }
  });

  runner.it('answers flipped bytes and noise with CODEC_DAMAGED or the asked-for length', async () => {
    const compressor = await open();
    const stored = compressor.compress(original, 1);
    const step = Math.max(1, stored.length >> 10);
    for (let at = 0; at < stored.length; at += at < 64 ? 1 : step) {
      const damaged = stored.slice();
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at & 7));
      assertLengthOrDamaged(compressor, damaged, original.length);
    }
    for (let seed = 0; seed < 200; seed += 1) {
      assertLengthOrDamaged(compressor, seededBytes(seed * 3, seed), 4096);
    }
  });

  runner.it('works as before after an error', async () => {
    const compressor = await open();
    const stored = compressor.compress(original, 1);
    for (let round = 0; round < 50; round += 1) {
      assertDamaged(
        () => compressor.decompress(stored.subarray(0, stored.length >> 1), original.length),
        'half',
      );
      assertSame(compressor.decompress(stored, original.length), original);
    }
  });
}

function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length);
  assert.ok(Buffer.from(actual).equals(expected), 'the bytes differ');
}

function assertDamaged(call: () => unknown, what: string): void {
  assert.throws(
    call,
    (error) => isFitdocError(error, 'CODEC_DAMAGED'),
    `${what} was not refused as CODEC_DAMAGED`,
  );
}

function assertLengthOrDamaged(compressor: Compressor, stored: Uint8Array, rawLength: number): void {
  try {
    assert.equal(compressor.decompress(stored, rawLength).length, rawLength);
  } catch (error) {
    if (!isFitdocError(error, 'CODEC_DAMAGED')) throw error;
  }
}
