import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { MachineStatus } from './model.js';
import { gaugePatterns } from './pattern-metrics.js';
import { gaugeStandbys } from './standby-metrics.js';
import type { Supervisor } from './supervisor/supervisor.js';

const PAUSE_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const COMMIT_BUCKETS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];
const STATES = [
  'waiting',
  'attaching',
  'protected',
  'capturing',
  'suspended',
  'standing',
  'released',
  'stuck',
] as const;

/** The daemon's figures for Prometheus. Those of a machine carry its name as `vm`. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #supervisor: Supervisor;

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor;
    collectDefaultMetrics({ register: this.#registry });
    this.#countCheckpoints();
    this.#gaugeMachines();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of /metrics. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #countCheckpoints(): void {
    const registers = [this.#registry];
    const labelNames = ['vm'] as const;
    const pause = new Histogram({
      ...{ name: 'fitdoc_pause_seconds', help: 'Time for which a guest stood still.', labelNames, registers },
      buckets: PAUSE_BUCKETS,
    });
    const commit = new Histogram({
      ...{
        name: 'fitdoc_commit_seconds',
        help: 'Time from resume to durable checkpoint.',
        labelNames,
        registers,
      },
      buckets: COMMIT_BUCKETS,
    });
    const bytes = new Counter({
      name: 'fitdoc_checkpoint_bytes_total',
      help: 'Bytes of checkpoints that were stored, by base and increment.',
      labelNames: ['vm', 'kind'],
      registers,
    });
    const help = 'Pages that hypervisors delivered as dirty.';
    const dirty = new Counter({ name: 'fitdoc_dirty_pages_total', help, labelNames, registers });
    const broken = new Counter({
      name: 'fitdoc_lost_objects_total',
      help: 'Stored objects that a chain stood on and that were found lost.',
      ...{ labelNames, registers },
    });
    this.#supervisor.events.on('damage', (vm) => broken.inc({ vm }));
    this.#supervisor.events.on('result', (vm, { entry, cost }) => {
      pause.observe({ vm }, cost.pauseMs / 1000);
      commit.observe({ vm }, cost.commitMs / 1000);
      bytes.inc({ vm, kind: entry.kind }, entry.bytes);
      dirty.inc({ vm }, cost.dirtyPages);
    });
    // Machines that patterns match come and go: nothing of those that went piles up.
    this.#supervisor.events.on('gone', (vm) => {
      for (const each of [pause, commit, dirty, broken]) each.remove({ vm });
      for (const kind of ['base', 'increment']) bytes.remove({ vm, kind });
    });
  }

  #gaugeMachines(): void {
    this.#gauge(
      'fitdoc_last_success_timestamp_seconds',
      'Moment that the last checkpoint shows.',
      (machine) => seconds(machine.lastCheckpoint?.capturedAt),
    );
    const age =
      'Time since the last good checkpoint, or since protection began; no step of the wall clock changes it.';
    this.#gauge('fitdoc_last_success_age_seconds', age, ({ successAgeMs }) => successAgeMs / 1000);
    this.#gauge('fitdoc_last_verify_timestamp_seconds', 'When checkpoints were last verified.', (machine) =>
      seconds(machine.lastVerifiedAt),
    );
    this.#gaugeBoots();
    this.#gauge(
      'fitdoc_image_bytes',
      'Memory that a machine takes of the daemon.',
      ({ imageBytes }) => imageBytes,
    );
    this.#gauge('fitdoc_interval_seconds', 'Interval in force.', ({ intervalMs }) =>
      intervalMs === undefined ? undefined : intervalMs / 1000,
    );
    this.#gaugeHistories();
    this.#gaugeStates();
    this.#gaugeRules();
    gaugePatterns(this.#registry, () => this.#supervisor.patterns.status());
    gaugeStandbys(this.#registry, () => this.#supervisor.standbys.list());
    this.#countOutcomes();
    this.#countBudgets();
  }

  #gaugeBoots(): void {
    this.#gauge(
      'fitdoc_last_boot_verify_timestamp_seconds',
      'When a checkpoint was last started to see that it runs.',
      ({ lastBoot }) => seconds(lastBoot?.at),
    );
    this.#gauge('fitdoc_last_boot_verify_success', 'Whether it ran.', ({ lastBoot }) =>
      lastBoot === undefined ? undefined : Number(lastBoot.verdict === 'runs'),
    );
  }

  #gaugeHistories(): void {
    this.#gauge(
      'fitdoc_history_path_objects',
      'Objects that a restore of the newest checkpoint reads.',
      ({ history }) => history?.pathObjects,
    );
    this.#gauge(
      'fitdoc_history_worst_path_objects',
      'The most objects that the restore of a kept checkpoint reads.',
      ({ history }) => history?.worstPathObjects,
    );
    this.#gauge(
      'fitdoc_history_lag_objects',
      'Objects that a restore reads beyond the bound, because merging lags behind.',
      ({ history }) => history?.lagObjects,
    );
    this.#gauge(
      'fitdoc_history_lag_seconds',
      'How far merging lags behind where a restore reads more objects than the bound.',
      ({ history }) => history?.lagSeconds,
    );
    this.#gauge(
      'fitdoc_restore_points',
      'Restore points that are in the repository now.',
      ({ restorePoints }) => restorePoints,
    );
    this.#gauge(
      'fitdoc_history_surplus_points',
      'Restore points that nothing keeps and that were still there at the last look.',
      ({ history }) => history?.surplusPoints,
    );
    this.#gauge(
      'fitdoc_history_reached_age_seconds',
      'Time since nothing was left to do for the retention rules; no step of the wall clock changes it.',
      ({ history }) => (history?.reachedAgeMs === undefined ? undefined : history.reachedAgeMs / 1000),
    );
  }

  /** Read from the machines when asked, so that one that was removed is gone here too. */
  #gauge(name: string, help: string, value: (machine: MachineStatus) => number | undefined): void {
    const machines = (): MachineStatus[] => this.#supervisor.machines();
    new Gauge({
      ...{ name, help, labelNames: ['vm'], registers: [this.#registry] },
      collect() {
        this.reset();
        for (const machine of machines()) {
          const found = value(machine);
          if (found !== undefined) this.set({ vm: machine.name }, found);
        }
      },
    });
  }

  /** Counted by the machines themselves; read when asked. */
  #countOutcomes(): void {
    const machines = (): MachineStatus[] => this.#supervisor.machines();
    const counter = (name: string, help: string, value: (machine: MachineStatus) => number): void => {
      new Counter({
        ...{ name, help, labelNames: ['vm'], registers: [this.#registry] },
        collect() {
          this.reset();
          for (const machine of machines()) this.inc({ vm: machine.name }, value(machine));
        },
      });
    };
    counter('fitdoc_checkpoints_total', 'Checkpoints taken.', ({ checkpoints }) => checkpoints);
    counter('fitdoc_checkpoint_failures_total', 'Checkpoints that failed.', ({ failures }) => failures);
    counter(
      'fitdoc_missed_checkpoints_total',
      'Scheduled checkpoints that were left out.',
      ({ missed }) => missed,
    );
    counter(
      'fitdoc_history_merged_bytes_total',
      'Bytes that merging wrote.',
      ({ history }) => history?.mergedBytes ?? 0,
    );
    counter(
      'fitdoc_history_freed_bytes_total',
      'Bytes of objects that were removed.',
      ({ history }) => history?.freedBytes ?? 0,
    );
    counter(
      'fitdoc_history_captured_bytes_total',
      'Bytes of captured checkpoints: merging is paid for by them.',
      ({ history }) => history?.capturedBytes ?? 0,
    );
    counter('fitdoc_history_merges_total', 'Merges of checkpoints.', ({ history }) => history?.merges ?? 0);
  }

  /** Counted by the machines, like outcomes; only where a budget is set. */
  #countBudgets(): void {
    const machines = (): MachineStatus[] => this.#supervisor.machines();
    new Counter({
      name: 'fitdoc_pause_budget_total',
      help: 'Checkpoints since the attach by what became of the budget of their pauses.',
      labelNames: ['vm', 'outcome'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { name, pauseBudget } of machines()) {
          if (!pauseBudget) continue;
          for (const outcome of ['kept', 'exceeded', 'refused'] as const)
            this.inc({ vm: name, outcome }, pauseBudget[outcome]);
        }
      },
    });
  }

  #gaugeRules(): void {
    const machines = (): MachineStatus[] => this.#supervisor.machines();
    new Gauge({
      name: 'fitdoc_history_kept_points',
      help: 'Restore points that a rule keeps, at the last look; a point may be kept by several.',
      labelNames: ['vm', 'rule'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { name, history } of machines())
          for (const { rule, points } of history?.keptBy ?? []) this.set({ vm: name, rule }, points);
      },
    });
  }

  #gaugeStates(): void {
    const machines = (): MachineStatus[] => this.#supervisor.machines();
    new Gauge({
      name: 'fitdoc_machine_state',
      help: '1 for the state that a machine is in.',
      labelNames: ['vm', 'state'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { name, state } of machines()) {
          for (const each of STATES) this.set({ vm: name, state: each }, each === state ? 1 : 0);
        }
      },
    });
  }
}

function seconds(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time) / 1000;
}
