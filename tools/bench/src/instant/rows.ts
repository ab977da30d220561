import type { LazyReport } from '@fitdoc/interface';
import type { Row, Target } from '../section.js';
import { median } from '../timing.js';
import { FULL, LAZY, RECORDED, VERIFIED, type Sample } from './turns.js';

const WAYS = [FULL, LAZY, RECORDED, VERIFIED].map(({ name }) => name);
/** Slower stores than this need not let a guest run at once. */
const NEAR_MS = 2;

type Figure = (sample: Sample) => number;

/** The figures of each size and store, and how much the larger sizes take of the smallest's time. */
export function instantRows(samples: readonly Sample[]): Row[] {
  const sizes = [...new Set(samples.map(({ size }) => size))];
  const delays = [...new Set(samples.map(({ delayMs }) => delayMs))];
  const [smallest, ...larger] = sizes;
  return [
    ...sizes.flatMap((size) => delays.flatMap((delayMs) => contestRows(samples, size, delayMs))),
    ...larger.flatMap((size) => delays.map((delayMs) => sizeRow(samples, size, smallest!, delayMs))),
  ];
}

function contestRows(all: readonly Sample[], size: string, delayMs: number): Row[] {
  const samples = all.filter((sample) => sample.size === size && sample.delayMs === delayMs);
  const where = `${size}, ${delay(delayMs)}`;
  const figures = (what: string, pick: Figure, compared: Compared): Row[] => {
    const ways = WAYS.filter((way) => samples.some((sample) => sample.way === way));
    return ways.map((way) => row(`${where}: ${what}`, samples, way, pick, compared[way] ?? {}));
  };
  const soon = delayMs <= NEAR_MS ? ({ of: 'value', atMost: 100 } as const) : undefined;
  return [
    ...figures('first instruction', (times) => times.firstInstructionMs, {
      [LAZY.name]: { ratioTo: FULL.name, target: soon },
      [RECORDED.name]: { ratioTo: FULL.name, target: soon },
      [VERIFIED.name]: { ratioTo: FULL.name },
    }),
    row(`${where}: of that, until the chain is open`, samples, LAZY.name, (times) => times.openedMs, {}),
    row(`${where}: of that, from QEMU's first byte on`, samples, LAZY.name, runningMs, {}),
    ...figures('first beat', (times) => times.firstBeatMs, {
      [LAZY.name]: {
        ratioTo: FULL.name,
        target: delayMs > NEAR_MS ? { of: 'value', atMost: 1000 } : undefined,
      },
      [RECORDED.name]: { ratioTo: LAZY.name, target: { of: 'ratio', atMost: 0.6 } },
      [VERIFIED.name]: { ratioTo: FULL.name },
    }),
    ...figures('all pages sent', (times) => times.sentMs, {
      [LAZY.name]: { ratioTo: FULL.name, target: { of: 'ratio', atMost: 1.2 } },
      [RECORDED.name]: { ratioTo: FULL.name },
      [VERIFIED.name]: { ratioTo: FULL.name },
    }),
    ...faultRows(where, samples),
  ];
}

function runningMs({ lazy }: Sample): number {
  return lazy?.runningMs ?? NaN;
}

/** What the figure of a way is compared with, and has to reach. */
type Compared = Readonly<
  Record<string, { readonly ratioTo?: string; readonly target?: Target | undefined } | undefined>
>;

function row(
  name: string,
  samples: readonly Sample[],
  way: string,
  pick: Figure,
  { ratioTo, target }: NonNullable<Compared[string]>,
): Row {
  const values = valuesOf(samples, way, pick);
  return {
    ...{ name, variant: way, value: median(values), unit: 'ms' },
    ...(ratioTo !== undefined && { ratioTo, ratio: paired(values, valuesOf(samples, ratioTo, pick)) }),
    ...(target && { target }),
  };
}

/** How long the guest waited for the pages that it asked for. */
function faultRows(where: string, samples: readonly Sample[]): Row[] {
  return [LAZY.name, RECORDED.name].flatMap((way) => {
    const of = (figure: string, unit: string, pick: (lazy: LazyReport) => number): Row => {
      const value = median(valuesOf(samples, way, ({ lazy }) => (lazy ? pick(lazy) : NaN)));
      return { name: `${where}: pages that the guest waited for`, variant: `${way}, ${figure}`, value, unit };
    };
    return [
      of('number', 'pages', ({ faults }) => faults),
      of('p50', 'ms', ({ faultP50Ms }) => faultP50Ms),
      of('p99', 'ms', ({ faultP99Ms }) => faultP99Ms),
    ];
  });
}

function sizeRow(samples: readonly Sample[], size: string, smallest: string, delayMs: number): Row {
  const of = (one: string): number[] => {
    const own = samples.filter((sample) => sample.size === one && sample.delayMs === delayMs);
    return valuesOf(own, LAZY.name, (times) => times.firstInstructionMs);
  };
  return {
    ...{ name: `first instruction, ${delay(delayMs)}, lazy`, variant: size, value: median(of(size)) },
    ...{ unit: 'ms', ratio: paired(of(size), of(smallest)), ratioTo: smallest },
    target: { of: 'ratio', atMost: 1.3 },
  };
}

/** By rounds. */
function valuesOf(samples: readonly Sample[], way: string, pick: Figure): number[] {
  return samples
    .filter((sample) => sample.way === way)
    .toSorted((a, b) => a.round - b.round)
    .map(pick);
}

/** The middle of the ratios of samples of the same round. */
function paired(values: readonly number[], base: readonly number[]): number {
  return median(values.map((value, round) => value / base[round]!));
}

function delay(delayMs: number): string {
  return delayMs === 0 ? 'no delay' : `${delayMs} ms of delay`;
}
