import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { MachineStatus } from './model.js';
import type { Supervisor } from './supervisor/supervisor.js';

const PAUSE_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const COMMIT_BUCKETS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];
const STATES = ['waiting', 'attaching', 'protected', 'capturing', 'suspended', 'stuck'] as const;

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
    this.#supervisor.events.on('result', (vm, { entry, cost }) => {
      pause.observe({ vm }, cost.pauseMs / 1000);
      commit.observe({ vm }, cost.commitMs / 1000);
      bytes.inc({ vm, kind: entry.kind }, entry.bytes);
      dirty.inc({ vm }, cost.dirtyPages);
    });
  }

  /** Read from the machines when asked, so that one that was removed is gone here too. */
  #gaugeMachines(): void {
    const gauge = (
      name: string,
      help: string,
      value: (machine: MachineStatus) => number | undefined,
    ): void => {
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
    };
    gauge('fitdoc_last_success_timestamp_seconds', 'Moment that the last checkpoint shows.', (machine) =>
      seconds(machine.lastCheckpoint?.capturedAt),
    );
    gauge('fitdoc_last_verify_timestamp_seconds', 'When checkpoints were last verified.', (machine) =>
      seconds(machine.lastVerifiedAt),
    );
    gauge('fitdoc_chain_depth', 'Checkpoints in the chain.', ({ chainDepth }) => chainDepth);
    gauge('fitdoc_image_bytes', 'Memory that a machine takes of the daemon.', ({ imageBytes }) => imageBytes);
    gauge('fitdoc_interval_seconds', 'Interval in force.', ({ intervalMs }) =>
      intervalMs === undefined ? undefined : intervalMs / 1000,
    );
    this.#gaugeStates();
    this.#countOutcomes();
  }

  /** Counted by the machines themselves; read when asked. */
  #countOutcomes(): void {
    const machines = (): MachineStatus[] => this.#supervisor.machines();
    const counter = (name: string, help: string, key: 'checkpoints' | 'failures' | 'missed'): void => {
      new Counter({
        ...{ name, help, labelNames: ['vm'], registers: [this.#registry] },
        collect() {
          this.reset();
          for (const machine of machines()) this.inc({ vm: machine.name }, machine[key]);
        },
      });
    };
    counter('fitdoc_checkpoints_total', 'Checkpoints taken.', 'checkpoints');
    counter('fitdoc_checkpoint_failures_total', 'Checkpoints that failed.', 'failures');
    counter('fitdoc_missed_checkpoints_total', 'Scheduled checkpoints that were left out.', 'missed');
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
