import { Gauge, type Registry } from 'prom-client';
import type { StandbyStatus } from './model.js';

const STATES = ['waiting', 'reading', 'ready', 'promoting', 'promoted'] as const;

/** Figures of the configuration's standbys, read when asked. */
export function gaugeStandbys(registry: Registry, standbys: () => readonly StandbyStatus[]): void {
  const gauge = (name: string, help: string, value: (status: StandbyStatus) => number | undefined): void => {
    new Gauge({
      ...{ name, help, labelNames: ['standby'], registers: [registry] },
      collect() {
        this.reset();
        for (const status of standbys()) {
          const found = value(status);
          if (found !== undefined) this.set({ standby: status.name }, found);
        }
      },
    });
  };
  gauge(
    'fitdoc_standby_behind_seconds',
    'Time since the state that a standby holds was captured: what is lost when the protected host ends now.',
    ({ behindMs }) => (behindMs === undefined ? undefined : behindMs / 1000),
  );
  gauge(
    'fitdoc_standby_trouble',
    'Whether a standby could not be brought forward when that was last tried.',
    (status) => Number(status.lastProblem !== undefined),
  );
  new Gauge({
    name: 'fitdoc_standby_state',
    help: '1 for the state that a standby is in.',
    labelNames: ['standby', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, state } of standbys())
        for (const each of STATES) this.set({ standby: name, state: each }, Number(each === state));
    },
  });
}
