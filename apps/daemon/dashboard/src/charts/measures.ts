import type { TimelinePoint } from '../state/state.js';
import { bytes, count, milliseconds } from '../words/format.js';

/** One figure of each checkpoint, drawn as one chart. */
export interface Measure {
  readonly name: string;
  readonly title: string;
  readonly of: (point: TimelinePoint) => number;
  readonly format: (value: number) => string;
  /** Steps between the axis' marks. */
  readonly steps: number[];
}

const powers = (base: number, from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => base ** (from + index));

/** 1, 2 and 5 times powers of ten. */
const decimal = powers(10, -3, 12).flatMap((power) => [power, 2 * power, 5 * power]);

export const measures: readonly Measure[] = [
  {
    name: 'pause',
    title: 'Pause',
    of: ({ pauseMs }) => pauseMs,
    format: milliseconds,
    steps: decimal,
  },
  {
    name: 'dirty',
    title: 'Dirty pages',
    of: ({ dirtyPages }) => dirtyPages,
    format: count,
    steps: decimal.filter((step) => step >= 1),
  },
  {
    name: 'stored',
    title: 'Stored',
    of: ({ storedBytes }) => storedBytes,
    format: bytes,
    steps: powers(2, 0, 50),
  },
];
