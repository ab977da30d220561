import type { ProtectionEvent } from '@fitdoc/engine';
import type { PauseBudget } from '@fitdoc/interface';
import type { MachineSettings } from '../config/schema.js';
import type { PauseCounts } from '../model.js';

/** The bound of a machine's pauses; a setting that only warns bounds nothing. */
export function budgetOf(settings: MachineSettings): { readonly pauseBudget?: PauseBudget } {
  const { 'pause-budget': maxMs, 'pause-budget-wait': waitMs, 'pause-budget-over': over } = settings;
  if (maxMs === undefined || over === 'warn') return {};
  return { pauseBudget: { maxMs, waitMs, otherwise: over } };
}

/** Counts what becomes of a budget. */
export function pauseTally(): { readonly counts: PauseCounts; note(event: ProtectionEvent): void } {
  const counts = { kept: 0, exceeded: 0, refused: 0 };
  return {
    counts,
    note(event) {
      if (event.type === 'checkpoint') {
        const { pauseBudget } = event.result.cost;
        if (pauseBudget) counts[pauseBudget.kept ? 'kept' : 'exceeded']++;
      } else if (event.type === 'checkpoint-failed' && event.error.details['pauseBudget'] === true)
        counts.refused++;
    },
  };
}
