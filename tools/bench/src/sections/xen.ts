import { join } from 'node:path';
import { scanRuns } from '@fitdoc/bitmap';
import { createGuest, missingForXen, XenHost } from '../../../lab/src/xen/index.js';
import type { BenchContext } from '../context.js';
import { compileContenders, createContenders } from '../scan/contenders.js';
import type { Row, Section } from '../section.js';
import { median, pairedRatio } from '../timing.js';
import { readRecording, type RecordedIncrement } from '../xen/recorded.js';

const SAVE = 'xl save';
const REMUS = 'xl remus';
const PER_PAGE = "a test per page, libxc's way";

interface Measured {
  readonly saveMs: number[];
  readonly saveBytes: number;
  readonly incrementMs: number[];
  readonly increments: RecordedIncrement[];
}

// Only ratios mean anything here: all of it happens in an emulator.
export const section: Section = {
  name: 'xen',
  title: 'Checkpoints of a PVH guest on a real Xen, in the emulator',
  requires: () => missingForXen(),
  async run(context) {
    const measured = await onXen(context);
    return [...timeAndSize(measured), ...(await scans(context, measured.increments))];
  },
};

async function onXen(context: BenchContext): Promise<Measured> {
  context.log('booting Xen in an emulator');
  const running = process.env.FITDOC_XEN_HOST;
  const host = running === undefined ? await XenHost.start() : XenHost.attach(running);
  try {
    await host.run('xl destroy bench');
    await createGuest(host, { name: 'bench', type: 'pvh' });
    return await measure(context, host);
  } finally {
    await host.run('xl destroy bench').catch(() => {});
    await host.stop();
  }
}

async function measure(context: BenchContext, host: XenHost): Promise<Measured> {
  const rounds = context.quick ? 2 : 5;
  const limit = { timeoutMs: 900_000 };
  const saveMs: number[] = [];
  let saveBytes = 0;
  for (let round = 0; round < rounds; round++) {
    context.log(`xl save ${round + 1} of ${rounds}`);
    const out = await host.must(
      'cut -d" " -f1 /proc/uptime; xl save -c bench /run/bench.save >&2; cut -d" " -f1 /proc/uptime; stat -c %s /run/bench.save; rm /run/bench.save',
      limit,
    );
    const [before, after, bytes] = out.trim().split('\n').map(Number) as [number, number, number];
    saveMs.push((after - before) * 1000);
    saveBytes = bytes;
  }
  context.log('captures by the dirty log');
  const timed = await host.must(`/node/node /project/tools/bench/src/xen/dom0.mjs bench ${rounds * 2}`, limit);
  const incrementMs = (JSON.parse(timed) as { ms: number }[]).map((each) => each.ms);
  context.log('recording a Remus stream');
  const stream = join(host.shared, 'bench.stream');
  await host.must(recordScript(rounds * 2), limit);
  return { saveMs, saveBytes, incrementMs, increments: await readRecording(stream) };
}

/** Records a Remus stream of some checkpoints to the shared folder, and ends the sender. */
function recordScript(checkpoints: number): string {
  // Every increment holds some 400 pages: the size tells when there are enough.
  const bytes = checkpoints * 1_600_000;
  return `answer='xl migration receiver ready, send binary domain data.'
    xl remus -F -n -d -i 500 -s "sh -c 'echo \\$\\$ >/run/receiver; echo \\"$answer\\"; exec 5>&1; exec cat >/run/bench.stream' --" bench fitdoc >/run/remus.log 2>&1 &
    sender=$!
    first=90000000
    for look in $(seq 600); do
      size=$(stat -c %s /run/bench.stream 2>/dev/null || echo 0)
      [ "$size" -gt $((first + ${bytes})) ] && break
      kill -0 $sender 2>/dev/null || exit 3
      sleep 1
    done
    kill -9 $(cat /run/receiver); wait $sender
    mv /run/bench.stream /host/bench.stream`;
}

function timeAndSize({ saveMs, saveBytes, incrementMs, increments }: Measured): Row[] {
  const time = { save: median(saveMs), ours: median(incrementMs) };
  const stored = median(increments.map((each) => each.storedBytes));
  const remus = increments.map((each) => each.storedBytes / each.streamBytes);
  const ours = { variant: 'fitdoc increment', ratioTo: SAVE };
  return [
    { name: 'time of a checkpoint', variant: SAVE, value: time.save, unit: 'ms' },
    { name: 'time of a checkpoint', ...ours, value: time.ours, unit: 'ms', ratio: time.ours / time.save },
    { name: 'bytes of a checkpoint', variant: SAVE, value: saveBytes, unit: 'B' },
    { name: 'bytes of a checkpoint', ...ours, value: stored, unit: 'B', ratio: stored / saveBytes },
    {
      name: 'bytes of an increment',
      variant: REMUS,
      value: median(increments.map((each) => each.streamBytes)),
      unit: 'B',
    },
    {
      name: 'bytes of an increment',
      variant: 'fitdoc increment',
      value: stored,
      unit: 'B',
      ratio: median(remus),
      ratioTo: REMUS,
    },
  ];
}

/** Finds the dirty pages in the bitmaps that Xen's dirty log gave for this guest. */
async function scans(context: BenchContext, increments: readonly RecordedIncrement[]): Promise<Row[]> {
  const bitmaps = increments.map((each) => each.bitmap);
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
  const wanted = increments.reduce((sum, each) => sum + each.pages, 0);
  const checked = (scan: () => number) => () => {
    const found = scan();
    if (found !== wanted) throw new Error(`A scan found ${found} pages of ${wanted}.`);
  };
  const timings = await context.compare([
    { name: PER_PAGE, run: checked(others.perPage) },
    { name: 'fitdoc scanRuns', run: checked(scanAll) },
  ]);
  const [base, ours] = [timings.get(PER_PAGE)!, timings.get('fitdoc scanRuns')!];
  const name = 'scan of real dirty bitmaps';
  return [
    { name, variant: PER_PAGE, value: base.median / bitmaps.length, unit: 'ms' },
    {
      name,
      variant: 'fitdoc scanRuns',
      value: ours.median / bitmaps.length,
      unit: 'ms',
      ratio: pairedRatio(ours, base),
      ratioTo: PER_PAGE,
      target: { of: 'ratio', atMost: 0.09 },
    },
  ];
}
