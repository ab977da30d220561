import { rm } from 'node:fs/promises';
import path from 'node:path';
import { availableBytes } from '../available-memory.js';
import type { BenchContext } from '../context.js';
import type { MockIncrement } from '../end-to-end/mock-child.js';
import { MockProcess } from '../end-to-end/mock-process.js';
import { listTraces, readTrace, traceDirectory } from '../ramtrace.js';
import type { Row, Section } from '../section.js';
import { median } from '../timing.js';

const GIB = 2 ** 30;
/** What the process takes without any image: Node.js, its workers, and what they encode. */
const PROCESS = 160 * 2 ** 20;
const SHARE = 0.25;

interface Guest {
  readonly name: string;
  readonly location: string;
  /** Bytes. */
  readonly touched: number;
  /** Increments that it has, of a recording. */
  readonly increments?: number;
}

export const section: Section = {
  name: 'memory',
  title: 'an image within a quarter of its guest against one in memory as a whole, in turns',
  async run(context) {
    const rows: Row[] = [];
    for (const sizes of mocks(context)) rows.push(...(await largest(context, sizes)));
    for (const name of await listTraces()) rows.push(...(await measured(context, await recorded(name))));
    return rows;
  },
};

/** Guests that write to 5 % of their touched memory; each in sizes of which the first is taken that fits this machine. */
function mocks(context: BenchContext): Guest[][] {
  const unit = context.quick ? GIB / 8 : GIB;
  const sizes = [8, 4, 2].map((size) => size * unit);
  return [
    sizes.map((touched) => mock(`mock, ${gibibytes(touched)}`, touched, touched)),
    sizes.map((touched) =>
      mock(`mock, ${gibibytes(64 * unit)}, ${gibibytes(touched)} touched`, 64 * unit, touched),
    ),
  ];
}

function mock(name: string, memory: number, touched: number): Guest {
  const working = Math.floor((0.05 * touched) / 4096);
  const sizes = `memory=${memory / 2 ** 20 + 16}M&resident=${touched / 2 ** 20}M&working=${working * 4}K`;
  // About a tenth of the working set between two checkpoints.
  const work = `workload=kv&seed=11&rate=${Math.ceil(working / 10)}`;
  return { name, touched, location: `mock:bench?${sizes}&${work}` };
}

/** A recorded guest: smaller than what the targets are for. */
async function recorded(name: string): Promise<Guest> {
  const { memoryPages, epochs } = await readTrace(name);
  const location = `mock:trace:${path.join(traceDirectory, `${name}.ramtrace.zst`)}`;
  return { name: `recording ${name}`, touched: memoryPages * 4096, location, increments: epochs.length };
}

function gibibytes(bytes: number): string {
  return `${bytes / GIB} GiB`;
}

async function largest(context: BenchContext, sizes: readonly Guest[]): Promise<Row[]> {
  const free = await availableBytes();
  // Both machines, an image, a part of an image, and room for the rest.
  const needed = ({ touched }: Guest): number => 3.3 * touched + GIB;
  const guest = sizes.find((each) => needed(each) < free);
  if (guest) return measured(context, guest);
  const { name } = sizes.at(-1)!;
  const why = `${gibibytes(Math.round(needed(sizes.at(-1)!) / GIB) * GIB)} of memory are needed and ${gibibytes(Math.round(free / GIB) * GIB)} are available`;
  context.log(`SKIPPED ${name}: ${why}`);
  return [{ name, variant: `SKIPPED: ${why}`, value: Number.NaN, unit: '' }];
}

async function measured(context: BenchContext, guest: Guest): Promise<Row[]> {
  const { name, location, touched, increments } = guest;
  context.log(`${name}: a base of each, then increments in turns`);
  const directory = await context.temporaryDirectory();
  const budget = Math.max(24 * 2 ** 20, Math.floor(SHARE * touched) - PROCESS);
  const whole = await MockProcess.start(location, path.join(directory, 'whole'));
  const part = await MockProcess.start(location, path.join(directory, 'part'), budget);
  const untimed = increments === undefined ? 3 : 0;
  const rounds = increments ?? (context.quick ? 15 : 40);
  try {
    const samples: Sample[] = [];
    for (let round = 0; round < untimed + rounds; round++) {
      const first = round % 2 === 0 ? whole : part;
      const one = await first.increment();
      const other = await (first === whole ? part : whole).increment();
      if (round >= untimed)
        samples.push(first === whole ? { whole: one, part: other } : { whole: other, part: one });
    }
    return rowsOf(name, samples, increments === undefined);
  } finally {
    await Promise.all([whole.stop(), part.stop()]);
    await rm(directory, { recursive: true, force: true });
  }
}

interface Sample {
  readonly whole: MockIncrement;
  readonly part: MockIncrement;
}

function rowsOf(name: string, samples: readonly Sample[], asked: boolean): Row[] {
  const against = (
    what: string,
    unit: string,
    atMost: number,
    pick: (increment: MockIncrement) => number,
  ): Row[] => {
    const [part, whole] = [
      median(samples.map((each) => pick(each.part))),
      median(samples.map((each) => pick(each.whole))),
    ];
    const ratio = median(samples.map((each) => pick(each.part) / pick(each.whole)));
    const target = asked && { target: { of: 'ratio', atMost } as const };
    return [
      { name, variant: what, value: part, unit, ratio, ratioTo: 'the whole image in memory', ...target },
      { name, variant: `${what}, the whole image in memory`, value: whole, unit },
    ];
  };
  const own = (increment: MockIncrement): number => increment.ownBytes;
  const ofGuest = (side: 'part' | 'whole'): Row => {
    const bytes = Math.max(...samples.map((each) => own(each[side])));
    const ratio = bytes / Math.max(...samples.map((each) => each[side].guestBytes));
    return {
      ...{
        name,
        variant: side === 'part' ? 'memory' : 'memory, the whole image in memory',
        value: bytes,
        unit: 'B',
      },
      ...{ ratio, ratioTo: "the guest's touched memory" },
      ...(asked && side === 'part' && { target: { of: 'ratio', atMost: SHARE } as const }),
    };
  };
  return [
    ofGuest('part'),
    ofGuest('whole'),
    ...against('bytes stored', 'B', 1.05, ({ bytes }) => bytes),
    ...against('time to durable p50', 'ms', 1.1, ({ timeMs, pauseMs }) => timeMs - pauseMs),
    ...against('pause p50', 'ms', 1, ({ pauseMs }) => pauseMs),
  ];
}
