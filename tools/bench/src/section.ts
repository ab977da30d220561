import type { BenchContext } from './context.js';

/** What a figure has to reach. Exactly one of `atMost` and `atLeast` is given. */
export interface Target {
  /** Whether the row's value or its ratio is meant. */
  readonly of: 'value' | 'ratio';
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One figure. */
export interface Row {
  /** What was measured: a distribution, a recording, a workload. */
  readonly name: string;
  /** By which way: a contender, a setting. */
  readonly variant: string;
  readonly value: number;
  readonly unit: string;
  /** The value divided by that of what `ratioTo` names, taken in the same run. */
  readonly ratio?: number;
  readonly ratioTo?: string;
  readonly target?: Target;
}

/** A group of figures; each file in sections/ exports one as `section`. */
export interface Section {
  /** Name in `--only` and in the JSON document. */
  readonly name: string;
  readonly title: string;
  /** Why this machine cannot run it, or undefined when it can. */
  requires?(): string | undefined | Promise<string | undefined>;
  run(context: BenchContext): Promise<Row[]>;
}

/** Whether a row reaches its target; undefined without one. */
export function isMet({ target, value, ratio }: Row): boolean | undefined {
  if (!target) return undefined;
  const figure = target.of === 'value' ? value : ratio;
  if (figure === undefined || Number.isNaN(figure)) return false;
  return figure <= (target.atMost ?? Infinity) && figure >= (target.atLeast ?? -Infinity);
}
