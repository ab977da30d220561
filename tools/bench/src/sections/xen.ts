import { scanRuns, type DirtyBitmap } from '@fitdoc/bitmap';
import { missingForXen } from '../../../lab/src/xen/index.js';
import type { BenchContext } from '../context.js';
import { compileContenders, createContenders } from '../scan/contenders.js';
import type { Row, Section, Target } from '../section.js';
import { median, pairedRatio } from '../timing.js';
import { memoryInDom0 } from '../xen/dom0-memory.js';
import { measureOnXen, type Measured, type Workload } from '../xen/measure.js';
import { suspension } from '../xen/suspension.js';

const SAVE = 'xl save';
const REMUS = 'xl remus';
const OURS = 'fitdoc increment';
const PER_PAGE = "a test per page, libxc's way";

/** Rewrites a quarter of the words of one page after the other as fast as it can, in a field of 16 MiB. */
const BUSY = { pages: 4096, stepMicroseconds: 1 };

const WORKLOADS: readonly Workload[] = [
  { name: 'idle', guest: { type: 'pvh' } },
  { name: 'busy', guest: { type: 'pvh', memory: 96, balloon: 96, ...BUSY } },
  { name: 'HVM idle', guest: { type: 'hvm', disk: false } },
  { name: 'HVM busy', guest: { type: 'hvm', disk: false, memory: 112, ...BUSY } },
];

const MEMORY = 'memory';

/** `XEN_GUESTS` takes some of them, and of the row of dom0's memory, by name. */
function isWanted(name: string): boolean {
  const wanted = process.env['XEN_GUESTS']?.split(',');
  return wanted === undefined || wanted.includes(name);
}

/** The most that a checkpoint may be, of a full save and of Remus's increment. */
interface Targets {
  readonly time: number;
  readonly suspended?: number;
  readonly bytes: number;
}

/** The paper's figures: 71 % less time than a full save, 53 % fewer bytes than page increments. */
const OF_THE_PAPER: Targets = { time: 0.29, bytes: 0.47 };
const OF_HVM: Targets = { time: 0.25, suspended: 0.02, bytes: 0.15 };

// Only ratios mean anything here: all of it happens in an emulator.
export const section: Section = {
  name: 'xen',
  title: 'Checkpoints of PVH and HVM guests on a real Xen, in the emulator',
  requires: () => missingForXen(),
  async run(context) {
    const workloads = WORKLOADS.filter(({ name }) => isWanted(name));
    const measured = workloads.length > 0 ? await measureOnXen(context, workloads) : [];
    const rows = measured.flatMap((each) => [...timeAndSize(each), ...suspension(each)]);
    for (const { workload, remus } of measured.filter(({ workload }) => workload.guest.type === 'pvh')) {
      const bitmaps = remus.map((each) => each.bitmap);
      const pages = remus.reduce((sum, each) => sum + each.pages, 0);
      rows.push(...(await scan(context, `${workload.name}: scan of its dirty bitmaps`, bitmaps, pages)));
    }
    if (isWanted(MEMORY)) rows.push(await memoryInDom0(context));
    return rows;
  },
};

/** Two ways of the same, the second to be at most `atMost` of the first. */
function pair(
  name: string,
  unit: string,
  [base, baseValue]: readonly [string, number],
  [ours, value]: readonly [string, number],
  atMost?: number,
): Row[] {
  const target: Target | undefined = atMost === undefined ? undefined : { of: 'ratio', atMost };
  const ratio = { ratio: value / baseValue, ratioTo: base };
  return [
    { name, variant: base, value: baseValue, unit },
    { name, variant: ours, value, unit, ...ratio, ...(target && { target }) },
  ];
}

function timeAndSize({ workload, saves, increments, remus }: Measured): Row[] {
  const { name, guest } = workload;
  const targets = guest.type === 'hvm' ? OF_HVM : OF_THE_PAPER;
  const saveMs = median(saves.map((each) => each.ms));
  const took = median(increments.map((each) => each.tookMs));
  const stored = median(increments.map((each) => each.bytes));
  const pause = median(increments.map((each) => each.pauseMs));
  // The same increments both ways: the pages that Remus sent, and what fitdoc would store of them.
  const sent = median(remus.map((each) => each.streamBytes));
  const kept = median(remus.map((each) => each.storedBytes));
  return [
    ...pair(`${name}: time to durable`, 'ms', [SAVE, saveMs], [OURS, took], targets.time),
    ...pair(`${name}: guest suspended`, 'ms', [SAVE, saveMs], [OURS, pause], targets.suspended),
    ...pair(`${name}: bytes`, 'B', [SAVE, median(saves.map((each) => each.bytes))], [OURS, stored]),
    ...pair(`${name}: bytes of an increment`, 'B', [REMUS, sent], ['fitdoc', kept], targets.bytes),
  ];
}

/** Finds the dirty pages in the bitmaps of a real guest. */
async function scan(
  context: BenchContext,
  name: string,
  bitmaps: readonly DirtyBitmap[],
  wanted: number,
): Promise<Row[]> {
  const others = createContenders(
    await compileContenders(await context.temporaryDirectory()),
    bitmaps.map((bitmap) => bitmap.bytes),
  );
  const buffer = new Uint32Array(32_768);
  const scanAll = () => {
    let pages = 0;
    for (const bitmap of bitmaps) {
      for (let from = 0; from < bitmap.pages;) {
        const { written, next } = scanRuns(bitmap, buffer, from);
        for (let index = 0; index < written; index++) pages += buffer[2 * index + 1]!;
        from = next;
      }
    }
    return pages;
  };
  const checked = (way: () => number) => () => {
    const found = way();
    if (found !== wanted) throw new Error(`A scan found ${found} pages of ${wanted}.`);
  };
  const timings = await context.compare([
    { name: PER_PAGE, run: checked(others.perPage) },
    { name: 'fitdoc scanRuns', run: checked(scanAll) },
  ]);
  const [base, ours] = [timings.get(PER_PAGE)!, timings.get('fitdoc scanRuns')!];
  const rows = pair(
    name,
    'ms',
    [PER_PAGE, base.median / bitmaps.length],
    ['fitdoc scanRuns', ours.median / bitmaps.length],
    0.09,
  );
  // Of the two taken in the same round, as everywhere.
  return rows.map((row) => (row.ratio === undefined ? row : { ...row, ratio: pairedRatio(ours, base) }));
}
