import { PAGE_SIZE } from '@fitdoc/interface';
import { createCodec, createZstdCompressor } from '@fitdoc/codec';
import { checkReplay } from '../codec/replay.js';
import type { Way } from '../codec/ways.js';
import { compressedPages, fitdoc, plainPages, remus, xbzrle } from '../codec/ways.js';
import type { BenchContext } from '../context.js';
import { listTraces, readTrace, traceDirectory } from '../ramtrace.js';
import type { RamTrace } from '../ramtrace.js';
import type { Row, Section } from '../section.js';
import { pairedRatio } from '../timing.js';

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
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
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
  const ways = await waysFor(trace);
  const sizes = new Map<string, number>();
  const timings = await context.compare(
    ways.map((way) => ({
      name: way.name,
      prepare: () => way.prepare(),
      run: async () => {
        sizes.set(way.name, await way.run());
      },
    })),
    { rounds: context.quick ? 1 : 5 },
  );
  const sizeOf = (name: string): number => sizes.get(name) as number;
  const base = timings.get(PAGES_ZSTD);
  const name = trace.workload;
  const rows: Row[] = [{ name, variant: 'raw', value: rawBytes, unit: 'bytes' }];
  for (const { name: variant } of ways) {
    const bytes = sizeOf(variant);
    const toZstd = { ratio: bytes / sizeOf(PAGES_ZSTD), ratioTo: `${PAGES_ZSTD} (bytes)` };
    const smaller = variant === OURS ? { target: { of: 'ratio', atMost: 0.85 } as const } : {};
    rows.push({ name, variant, value: bytes, unit: 'bytes', ...toZstd, ...smaller });
    rows.push({ name, variant, value: (bytes / rawBytes) * 100, unit: '% of raw' });
    const timing = timings.get(variant);
    if (!timing || !base || variant === 'pages, plain') continue;
    const toZstdTime = { ratio: 1 / pairedRatio(timing, base), ratioTo: `${PAGES_ZSTD} (MB/s)` };
    const faster = variant === OURS ? { target: { of: 'ratio', atLeast: 1 } as const } : {};
    const value = rawBytes / 1e3 / timing.median;
    rows.push({ name, variant, value, unit: 'MB/s', ...toZstdTime, ...faster });
  }
  return { rows, share: sizeOf(OURS) / rawBytes };
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
