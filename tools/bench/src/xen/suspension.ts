import type { Row } from '../section.js';
import { median } from '../timing.js';
import type { IncrementCost, Measured } from './measure.js';

/** Who spends the time of a suspension, from the request until the guest runs again, and in which steps. */
const SHARES = [
  { variant: 'the guest and Xen: suspend', steps: ['request'] },
  { variant: "Xen's libraries: state, dirty log, mapping", steps: ['state', 'harvest', 'map'] },
  { variant: 'the device model: stop, save', steps: ['device'] },
  { variant: 'Xen: resume', steps: ['resume'] },
  { variant: 'fitdoc: notice, copy', steps: ['notice', 'copy'] },
] as const;

/** The most that may be fitdoc's, for a guest that does nothing else. */
const OURS_AT_MOST = 0.1;

/** The suspension of a workload's increments, by whose part of it is whose. */
export function suspension({ workload, increments }: Measured): Row[] {
  const name = `${workload.name}: suspension, from the request on`;
  const whole = median(increments.map(wholeMs));
  const total: Row = { name, variant: 'all of it', value: whole, unit: 'ms' };
  const there = SHARES.filter(({ steps }) => steps.some((step) => step in increments[0]!.pausePhases));
  const parts = there.map(({ variant, steps }): Row => {
    const value = median(increments.map((each) => spent(each, steps)));
    // Of the same increment, then the median: a slow moment of the machine makes all of its steps slow.
    const ratio = median(increments.map((each) => spent(each, steps) / wholeMs(each)));
    const ours = variant.startsWith('fitdoc') && workload.name === 'idle';
    const target = ours ? { target: { of: 'ratio' as const, atMost: OURS_AT_MOST } } : {};
    return { name, variant, value, unit: 'ms', ratio, ratioTo: 'all of it', ...target };
  });
  return [total, ...parts];
}

function spent({ pausePhases }: IncrementCost, steps: readonly string[]): number {
  return steps.reduce((sum, step) => sum + (pausePhases[step] ?? 0), 0);
}

function wholeMs(cost: IncrementCost): number {
  return cost.pauseMs + spent(cost, ['request']);
}
