import { PAGE_SIZE } from '@fitdoc/interface';
import { createCodec, createZstdCompressor } from '@fitdoc/codec';
import { checkReplay } from '../codec/replay.js';
import type { Way } from '../codec/ways.js';
import { Clock, compressedPages, fitdoc, plainPages, remus, xbzrle } from '../codec/ways.js';
import type { BenchContext } from '../context.js';
import { listTraces, readTrace, traceDirectory } from '../ramtrace.js';
import type { RamTrace } from '../ramtrace.js';
import type { Row, Section } from '../section.js';

const PLAIN = 'pages, plain';
const PAGES_ZSTD = 'pages, zstd-3';
const OURS = 'fitdoc';

export const section: Section = {
  name: 'codec',
  title: 'Storing the changed pages of recorded guests',
  async requires() {
    const names = await listTraces();
    return names.length > 0 ? undefined : `there are no recordings in ${traceDirectory}`;
  },
  async run(context) {
    const rows: Row[] = [];
    const shares: number[] = [];
    for (const name of await listTraces()) {
      context.log(name);
      const trace = await readTrace(name);
      await checkReplay(trace, await createCodec());
      const measured = await measure(context, trace);
      rows.push(...measured.rows);
      shares.push(measured.share);
    }
    const mean = sum(shares) / shares.length;
    const target = { of: 'value', atMost: 7.5 } as const;
    rows.push({ name: 'mean of all recordings', variant: OURS, value: mean * 100, unit: '% of raw', target });
    return rows;
  },
};

interface Measured {
  readonly rows: readonly Row[];
  /** What fitdoc stores, divided by the raw pages. */
  readonly share: number;
}

async function measure(context: BenchContext, trace: RamTrace): Promise<Measured> {
  const rawBytes = trace.epochs.reduce((sum, epoch) => sum + epoch.gfns.length * PAGE_SIZE, 0);
  const outcomes = await runAll(await waysFor(trace), context.quick ? 1 : 7);
  const base = outcomes.get(PAGES_ZSTD) as Outcome;
  const name = trace.workload;
  const rows: Row[] = [{ name, variant: 'raw', value: rawBytes, unit: 'bytes' }];
  for (const [variant, { bytes, laps }] of outcomes) {
    const ours = variant === OURS;
    rows.push({
      name,
      variant,
      value: bytes,
      unit: 'bytes',
      ratio: bytes / base.bytes,
      ratioTo: `${PAGES_ZSTD} (bytes)`,
      ...(ours ? { target: { of: 'ratio', atMost: 0.85 } } : {}),
    });
    rows.push({ name, variant, value: (bytes / rawBytes) * 100, unit: '% of raw' });
    if (variant === PLAIN) continue;
    rows.push({
      name,
      variant,
      value: rawBytes / 1e3 / sum(laps),
      unit: 'MB/s',
      ratio: sum(base.laps) / sum(laps),
      ratioTo: `${PAGES_ZSTD} (MB/s)`,
      ...(ours ? { target: { of: 'ratio', atLeast: 1 } } : {}),
    });
  }
  return { rows, share: (outcomes.get(OURS) as Outcome).bytes / rawBytes };
}

interface Outcome {
  bytes: number;
  /** For each epoch the shortest time that any round took, in milliseconds. */
  laps: readonly number[];
}

/**
 * Runs the ways in turns, after one round to warm up. The best of each epoch counts: what else the machine does
 * can only make a lap longer, and a lap is short enough to be left alone in one round or another.
 */
async function runAll(ways: readonly Way[], rounds: number): Promise<Map<string, Outcome>> {
  const outcomes = new Map(ways.map(({ name }): [string, Outcome] => [name, { bytes: 0, laps: [] }]));
  for (let round = -1; round < rounds; round += 1) {
    for (const way of ways) {
      const outcome = outcomes.get(way.name) as Outcome;
      await way.prepare();
      const clock = new Clock();
      outcome.bytes = await way.run(clock);
      if (round < 0) continue;
      outcome.laps = clock.laps.map((lap, epoch) => Math.min(lap, outcome.laps[epoch] ?? Infinity));
    }
  }
  return outcomes;
}

async function waysFor(trace: RamTrace): Promise<Way[]> {
  const [lz4, plain] = await Promise.all([
    createCodec({ compressor: 'lz4' }),
    createCodec({ compressor: 'none' }),
  ]);
  return [
    plainPages(trace),
    compressedPages(trace, await createZstdCompressor(), 3),
    remus(trace),
    xbzrle(trace),
    fitdoc(trace, await createCodec(), OURS),
    fitdoc(trace, await createCodec({ level: 1 }), 'fitdoc, zstd-1'),
    fitdoc(trace, lz4, 'fitdoc, lz4'),
    fitdoc(trace, plain, 'fitdoc, no compression'),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
