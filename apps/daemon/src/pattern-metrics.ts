import { Gauge, type Registry } from 'prom-client';
import type { PatternStatus } from './model.js';

/** Figures of the configuration's patterns, read when asked. */
export function gaugePatterns(registry: Registry, patterns: () => readonly PatternStatus[]): void {
  const gauge = (name: string, help: string, value: (status: PatternStatus) => number): void => {
    new Gauge({
      ...{ name, help, labelNames: ['pattern'], registers: [registry] },
      collect() {
        this.reset();
        for (const status of patterns()) this.set({ pattern: status.pattern }, value(status));
      },
    });
  };
  gauge(
    'fitdoc_pattern_machines',
    'Machines that a pattern of the configuration matches, whether they run or not.',
    ({ machines }) => machines.length,
  );
  gauge(
    'fitdoc_pattern_left_out',
    'Machines that fit a pattern and cannot be protected.',
    ({ leftOut }) => leftOut.length,
  );
  gauge('fitdoc_pattern_look_success', 'Whether the last look for what a pattern matches told.', (status) =>
    Number(status.lookedAt !== undefined && status.lastProblem === undefined),
  );
}
