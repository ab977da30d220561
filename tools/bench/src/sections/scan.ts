import { DirtyBitmap, scanPages, scanRuns, type ScanResult } from '@fitdoc/bitmap';
import type { BenchContext } from '../context.js';
import { compileContenders, createContenders } from '../scan/contenders.js';
import { distributions, type Distribution } from '../scan/distributions.js';
import type { Row, Section } from '../section.js';
import { pairedRatio, type Contender, type Timing } from '../timing.js';

const PAGES_PER_GIB = 262_144;
const BUFFER_ENTRIES = 32_768;
/** GiB of guests whose bitmaps are scanned in turn. */
const SCANNED_GIB = 64;

const PER_PAGE = 'a test per page';
const WORD_SKIP = 'word skip, bit test';
const CTZ_PAGES = 'word skip, ctz, pages';
const CTZ_RUNS = 'word skip, ctz, runs';
const OUR_PAGES = 'fitdoc scanPages';
const OUR_RUNS = 'fitdoc scanRuns';

export const section: Section = {
  name: 'scan',
  title: 'Finding the dirty pages in a bitmap',
  async run(context) {
    const module = await compileContenders(await context.temporaryDirectory());
    const rows: Row[] = [];
    for (const gib of context.quick ? [1, 16] : [1, 16, 256]) {
      // A harvest is scanned once. Scanned over and over, a small bitmap is learnt by heart by the branch
      // predictor, so each guest has several bitmaps, which are scanned in turn.
      const bitmaps = Array.from({ length: Math.max(1, Math.floor(SCANNED_GIB / gib)) }, () => {
        return new DirtyBitmap(gib * PAGES_PER_GIB);
      });
      for (const distribution of distributions) {
        const name = `${gib} GiB, ${distribution.name}`;
        context.log(name);
        bitmaps.forEach((bitmap, i) => distribution.fill(bitmap, i + 1));
        rows.push(...(await measure(context, { name, distribution, bitmaps, module })));
      }
    }
    return rows;
  },
};

interface Case {
  readonly name: string;
  readonly distribution: Distribution;
  readonly bitmaps: readonly DirtyBitmap[];
  readonly module: object;
}

async function measure(context: BenchContext, { name, distribution, bitmaps, module }: Case): Promise<Row[]> {
  const others = createContenders(
    module,
    bitmaps.map(({ bytes }) => bytes),
  );
  const buffer = new Uint32Array(BUFFER_ENTRIES);
  const counts = new Map<string, number>();
  const contender = (variant: string, scan: () => number): Contender => ({
    name: variant,
    run() {
      counts.set(variant, scan());
    },
  });
  const timings = await context.compare(
    [
      contender(PER_PAGE, others.perPage),
      contender(WORD_SKIP, others.wordSkip),
      contender(CTZ_PAGES, others.ctzPages),
      contender(CTZ_RUNS, others.ctzRuns),
      contender(OUR_PAGES, () => scanAll(scanPages, bitmaps, buffer)),
      contender(OUR_RUNS, () => scanAll(scanRuns, bitmaps, buffer)),
    ],
    { rounds: context.quick ? 5 : 11 },
  );
  checkCounts(name, bitmaps, counts);
  return toRows(name, distribution, timings, bitmaps.length);
}

function scanAll(
  scan: (bitmap: DirtyBitmap, out: Uint32Array, from: number) => ScanResult,
  bitmaps: readonly DirtyBitmap[],
  buffer: Uint32Array,
): number {
  let found = 0;
  for (const bitmap of bitmaps) {
    for (let from = 0; from < bitmap.pages;) {
      const { written, next } = scan(bitmap, buffer, from);
      found += written;
      from = next;
    }
  }
  return found;
}

/** A contender that finds something else does not compete. */
function checkCounts(
  name: string,
  bitmaps: readonly DirtyBitmap[],
  counts: ReadonlyMap<string, number>,
): void {
  const pages = bitmaps.reduce((sum, bitmap) => sum + bitmap.count(), 0);
  const runs = counts.get(CTZ_RUNS);
  for (const [variant, count] of counts) {
    const expected = variant === CTZ_RUNS || variant === OUR_RUNS ? runs : pages;
    if (count !== expected) throw new Error(`${name}: ${variant} found ${count}, not ${String(expected)}`);
  }
}

/** A scan to pages competes with the others that give pages; a scan to runs with all of them. */
function toRows(
  name: string,
  distribution: Distribution,
  timings: ReadonlyMap<string, Timing>,
  scans: number,
): Row[] {
  const timing = (variant: string): Timing => timings.get(variant) as Timing;
  const best = (variants: readonly string[]): string =>
    variants.reduce((a, b) => (timing(b).median < timing(a).median ? b : a));
  const listers = [PER_PAGE, WORD_SKIP, CTZ_PAGES];
  const row = (variant: string): Row => ({
    name,
    variant,
    value: (timing(variant).median * 1000) / scans,
    unit: 'us',
  });
  const ours = (variant: string, rivals: readonly string[]): Row => {
    const rival = best(rivals);
    const ratio = pairedRatio(timing(variant), timing(rival));
    return { ...row(variant), ratio, ratioTo: rival, target: { of: 'ratio', atMost: 1.1 } };
  };
  return [
    ...[...listers, CTZ_RUNS].map(row),
    ours(OUR_PAGES, listers),
    ours(OUR_RUNS, [...listers, CTZ_RUNS]),
    {
      name,
      variant: 'fitdoc scanRuns, of a test per page',
      value: 100 * pairedRatio(timing(OUR_RUNS), timing(PER_PAGE)),
      unit: '%',
      ...(distribution.easy ? { target: { of: 'value', atMost: 5 } as const } : {}),
    },
  ];
}
