import { bytes, count, duration } from '../output/units.js';
import type { DaemonHistory } from './model.js';

/** What a machine's history costs and what became of it, for people. */
export function historyLines(history: DaemonHistory): string[] {
  const { keptBy, keptPoints, surplusPoints, reachedAgeMs, lagObjects } = history;
  const rules = keptBy.map(({ rule, points }) => `${rule} ${count(points)}`).join(', ');
  const reached = reachedAgeMs === undefined ? 'not reached yet' : `reached ${duration(reachedAgeMs)} ago`;
  const written = history.capturedBytes > 0 ? history.mergedBytes / history.capturedBytes : 0;
  const lag = lagObjects > 0 ? `; merging lags, ${count(lagObjects)} more than they should` : '';
  return [
    `${'kept'.padEnd(14)} ${count(keptPoints)}${rules && `: ${rules}`}`,
    `${'rules'.padEnd(14)} ${reached}; ${count(surplusPoints)} more restore points go when that is worth it`,
    `${'restores read'.padEnd(14)} ${count(history.pathObjects)} objects, ${count(history.worstPathObjects)} at most${lag}`,
    `${'freed'.padEnd(14)} ${bytes(history.freedBytes)}, ${count(history.removed)} objects, since the daemon started`,
    `${'merged'.padEnd(14)} ${count(history.merges)} times; ${written.toFixed(2)} bytes written for each byte captured`,
  ];
}
