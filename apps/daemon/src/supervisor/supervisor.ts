import { EventEmitter } from 'node:events';
import { AdapterRegistry } from '@fitdoc/adapters';
import { createEngine, restore, verify, type CheckpointResult, type Engine, type VerifyReport } from '@fitdoc/engine';
import { FitdocError, type RestoreReport } from '@fitdoc/interface';
import type { CheckpointEntry, PruneReport, Repository } from '@fitdoc/repository';
import type { Logger } from 'pino';
import type { Configuration, MachineSettings } from '../config/schema.js';
import type { DaemonEvent, JobStatus, MachineStatus } from '../model.js';
import { Jobs, type JobContext } from './jobs.js';
import { MachineController } from './machine-controller.js';
import { Maintenance } from './maintenance.js';
import { Repositories } from './repositories.js';
import { retentionPolicy } from './retention.js';
import { Semaphore } from './semaphore.js';
import type { StateFile } from './state-file.js';

interface Events {
  readonly event: [DaemonEvent];
  readonly result: [machine: string, result: CheckpointResult];
}

export interface SupervisorOptions {
  readonly logger: Logger;
  readonly state: StateFile;
}

/** Everything that the daemon does for its machines, without any way to talk to it. */
export class Supervisor {
  readonly events = new EventEmitter<Events>();
  readonly jobs = new Jobs((job) => this.#announce({ type: 'job', job }));
  readonly engine: Engine;
  readonly registry = new AdapterRegistry();
  readonly repositories = new Repositories(this.registry);
  readonly #logger: Logger;
  readonly #state: StateFile;
  readonly #captures: Semaphore;
  readonly #controllers = new Map<string, MachineController>();
  readonly #maintenance: Maintenance;
  readonly #graceMs: number;

  private constructor(configuration: Configuration, options: SupervisorOptions) {
    const { daemon } = configuration;
    this.#logger = options.logger;
    this.#state = options.state;
    this.#captures = new Semaphore(daemon['max-captures']);
    this.#graceMs = daemon['grace-period'];
    this.engine = createEngine({
      ...(daemon.workers !== undefined && { workers: daemon.workers }),
      ...(daemon.memory !== undefined && { memoryBudget: daemon.memory }),
    });
    this.#maintenance = new Maintenance({
      prune: (machine) => this.pruneMachine(machine).then(() => undefined),
      verify: (machine) => this.verifyMachine(machine, 0.05).then(() => undefined),
      onError: (machine, what, error) => this.#logger.warn({ machine, err: error }, `${what} failed`),
    });
  }

  /** Starts protecting what the configuration names. Machines attach by themselves; nothing is waited for. */
  static async start(configuration: Configuration, options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = new Supervisor(configuration, options);
    await supervisor.registry.addPackages(configuration.daemon.adapters);
    await supervisor.apply(configuration);
    return supervisor;
  }

  /**
   * Takes over a configuration: machines that stay keep their attachment unless what they are attached to
   * changed. The settings under [daemon] hold from the next start.
   */
  async apply(configuration: Configuration): Promise<void> {
    const { machines } = configuration;
    const ending = [...this.#controllers.values()].filter(
      (controller) => !sameAttachment(controller.settings, machines[controller.name]),
    );
    await Promise.all(ending.map((controller) => this.#end(controller)));
    this.repositories.configure(configuration.repositories);
    for (const [name, settings] of Object.entries(machines)) this.#begin(name, settings);
    this.#announce({ type: 'reloaded', machines: Object.keys(machines) });
  }

  /** Ends all protection, leaving every guest running. */
  async stop(): Promise<void> {
    this.#maintenance.close();
    await this.jobs.close();
    await Promise.all([...this.#controllers.values()].map((controller) => controller.stop(this.#graceMs)));
    await this.engine.close();
    await this.repositories.close();
    await this.#state.save();
  }

  machines(): MachineStatus[] {
    return [...this.#controllers.values()].map((controller) => controller.status());
  }

  /** Errors: MACHINE_NOT_FOUND. */
  controller(name: string): MachineController {
    const controller = this.#controllers.get(name);
    if (controller) return controller;
    throw new FitdocError('MACHINE_NOT_FOUND', `The configuration has no machine ${name}.`, {
      details: { known: [...this.#controllers.keys()] },
    });
  }

  /** The checkpoints of a configured machine, oldest first; none before it was attached for the first time. */
  async checkpoints(name: string): Promise<{ repository: Repository; entries: CheckpointEntry[] }> {
    const controller = this.controller(name);
    const repository = await this.repositories.get(controller.settings.repository);
    const machine = this.#machineId(controller);
    if (machine === undefined) return { repository, entries: [] };
    return { repository, entries: await repository.checkpoints({ machine }) };
  }

  startCheckpoint(name: string): JobStatus {
    const controller = this.controller(name);
    return this.jobs.start('checkpoint', name, async () => {
      const { entry } = await controller.checkpointNow();
      return { id: entry.id, sequence: entry.sequence };
    });
  }

  startRestore(name: string, checkpoint: string, to: string): JobStatus {
    const controller = this.controller(name);
    return this.jobs.start('restore', `${name} ${checkpoint} to ${to}`, (context) =>
      this.#restore(controller, checkpoint, to, context),
    );
  }

  startVerify(name: string, share: number): JobStatus {
    this.controller(name);
    return this.jobs.start('verify', name, (context) => this.verifyMachine(name, share, context));
  }

  startPrune(name: string, dryRun: boolean): JobStatus {
    this.controller(name);
    return this.jobs.start('prune', name, (context) => this.pruneMachine(name, dryRun, context));
  }

  async verifyMachine(name: string, share: number, context?: JobContext): Promise<VerifyReport> {
    const { repository, entries } = await this.checkpoints(name);
    const report = await verify(repository, entries, { data: share, ...context });
    if (report.findings.length === 0) {
      const now = Date.now();
      this.controller(name).lastVerifiedAtMs = now;
      this.#state.setVerified(name, now);
      this.#announce({ type: 'machine', machine: this.controller(name).status() });
    } else {
      this.#logger.error({ machine: name, findings: report.findings }, 'verification found damage');
    }
    return report;
  }

  async pruneMachine(name: string, dryRun = false, context?: JobContext): Promise<PruneReport | undefined> {
    const { settings } = this.controller(name);
    const { repository, entries } = await this.checkpoints(name);
    const machine = entries[0]?.machineId;
    if (!settings.retention || machine === undefined) return undefined;
    return repository.prune(retentionPolicy(settings.retention), { machine, dryRun, ...context });
  }

  async #restore(
    controller: MachineController,
    checkpoint: string,
    to: string,
    context: JobContext,
  ): Promise<RestoreReport> {
    const repository = await this.repositories.get(controller.settings.repository);
    const machine = this.#machineId(controller);
    const entry = await repository.resolve(checkpoint, machine === undefined ? {} : { machine });
    const { hypervisor, rest } = await this.registry.hypervisorFor(to);
    return restore(this.engine, { repository, entry, hypervisor, location: rest }, context);
  }

  #machineId(controller: MachineController): string | undefined {
    return controller.attachment?.machine.info.id ?? this.#state.machineId(controller.name);
  }

  #begin(name: string, settings: MachineSettings): void {
    const known = this.#controllers.get(name);
    if (known) {
      known.reconfigure(settings);
    } else {
      const controller = this.#controllerFor(name, settings);
      this.#controllers.set(name, controller);
      controller.lastVerifiedAtMs = this.#state.verifiedAt(name);
      controller.start();
    }
    this.#maintenance.schedule(name, settings, this.#state.verifiedAt(name));
  }

  #controllerFor(name: string, settings: MachineSettings): MachineController {
    return new MachineController(settings, {
      name,
      engine: this.engine,
      registry: this.registry,
      captures: this.#captures,
      repository: () => this.repositories.get(this.controller(name).settings.repository),
      onChange: (machine) => {
        if (machine.machineId !== undefined) this.#state.setMachineId(name, machine.machineId);
        this.#announce({ type: 'machine', machine });
      },
      onCheckpoint: (result) => this.#onCheckpoint(name, result),
      onProblem: (problem) => this.#logger.warn({ machine: name, problem }, problem.message),
    });
  }

  #onCheckpoint(name: string, result: CheckpointResult): void {
    this.events.emit('result', name, result);
    const checkpoint = this.controller(name).status().lastCheckpoint;
    if (checkpoint) this.#announce({ type: 'checkpoint', machine: name, checkpoint });
    this.#logger.debug({ machine: name, checkpoint }, 'checkpoint');
  }

  async #end(controller: MachineController): Promise<void> {
    this.#maintenance.cancel(controller.name);
    await controller.stop(this.#graceMs);
    this.#controllers.delete(controller.name);
  }

  #announce(event: DaemonEvent): void {
    this.events.emit('event', event);
  }
}

function sameAttachment(before: MachineSettings, after: MachineSettings | undefined): boolean {
  if (!after) return false;
  const key = (settings: MachineSettings): string =>
    JSON.stringify([
      settings.location,
      settings.repository,
      settings.disks,
      settings['machine-id'],
      settings.compressor,
      settings.level,
      settings.config,
    ]);
  return key(before) === key(after);
}
