import { EventEmitter } from 'node:events';
import { AdapterRegistry } from '@fitdoc/adapters';
import { createEngine, type CheckpointResult, type Engine, type VerifyReport } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { Logger } from 'pino';
import type { Configuration, MachineSettings } from '../config/schema.js';
import type { DaemonEvent, JobStatus, MachineStatus } from '../model.js';
import { Jobs, type JobContext } from './jobs.js';
import { MachineController } from './machine-controller.js';
import { checkpointOf } from './machine-status.js';
import { Maintenance, type Chore } from './maintenance.js';
import { pruneChain, restoreChain, verifyChain, type Chain, type RestoreWish } from './operations.js';
import { Repositories } from './repositories.js';
import { sameAttachment } from './same-attachment.js';
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

/** Part of the page data that a verification on schedule reads; each draws another. */
const ROUTINE_SHARE = 0.05;

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
  readonly #packages = new Set<string>();
  #configuration: Configuration;
  /** One change after the other: a reload, a second one, the end. */
  #changing: Promise<unknown> = Promise.resolve();
  #stopped = false;

  private constructor(configuration: Configuration, options: SupervisorOptions) {
    const { daemon } = configuration;
    this.#configuration = configuration;
    this.#logger = options.logger;
    this.#state = options.state;
    this.#captures = new Semaphore(daemon['max-captures']);
    this.#graceMs = daemon['grace-period'];
    this.engine = createEngine({
      ...(daemon.workers !== undefined && { workers: daemon.workers }),
      ...(daemon.memory !== undefined && { memoryBudget: daemon.memory }),
    });
    // The dashboard, the metrics and every reader of the event stream listen here.
    this.events.setMaxListeners(0);
    this.#maintenance = new Maintenance({
      run: (machine, chore) => this.#routine(machine, chore),
      onError: (machine, chore, error) => this.#logger.warn({ machine, err: error }, `${chore} failed`),
    });
  }

  /** Starts protecting what the configuration names. Machines attach by themselves; nothing is waited for. */
  static async start(configuration: Configuration, options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = new Supervisor(configuration, options);
    try {
      await supervisor.apply(configuration);
    } catch (error) {
      await supervisor.engine.close();
      throw error;
    }
    return supervisor;
  }

  /**
   * Takes over a configuration: machines that stay keep their attachment unless what they are attached to, or
   * the repository they are stored in, changed. Most settings under [daemon] hold from the next start.
   */
  apply(configuration: Configuration): Promise<void> {
    return this.#inTurn(() => this.#apply(configuration));
  }

  /** Ends all protection, leaving every guest running. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#maintenance.close();
    const jobs = this.jobs.close();
    await this.#inTurn(async () => {
      await Promise.all([...this.#controllers.values()].map((each) => each.stop(this.#graceMs)));
      await jobs;
      await this.engine.close();
      await this.repositories.close();
      await this.#state
        .save()
        .catch((error: unknown) => this.#logger.warn({ err: error }, 'state not saved'));
    });
  }

  /** Makes a `stop` that is under way cancel what it waits for. */
  hurry(): void {
    for (const controller of this.#controllers.values()) controller.cancel();
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  machines(): MachineStatus[] {
    return [...this.#controllers.values()].map((controller) => controller.status());
  }

  /** Errors: MACHINE_NOT_FOUND. */
  controller(name: string): MachineController {
    const controller = this.#controllers.get(name);
    if (controller) return controller;
    throw new FitdocError('MACHINE_NOT_FOUND', `The configuration has no machine ${name}.`, {
      hint: `It has: ${[...this.#controllers.keys()].join(', ') || 'none'}.`,
    });
  }

  /** Where a configured machine's checkpoints are. */
  async chain(name: string): Promise<Chain> {
    const controller = this.controller(name);
    const repository = await this.repositories.get(controller.settings.repository);
    return { repository, machineId: controller.machineId ?? this.#state.machineId(name) };
  }

  startCheckpoint(name: string): JobStatus {
    const controller = this.controller(name);
    return this.jobs.start('checkpoint', name, async ({ signal }) =>
      checkpointOf(await controller.checkpointNow(signal)),
    );
  }

  startRestore(name: string, wish: RestoreWish): JobStatus {
    this.controller(name);
    return this.jobs.start('restore', `${name} ${wish.checkpoint} to ${wish.to}`, async (context) =>
      restoreChain(await this.chain(name), wish, this, context),
    );
  }

  startVerify(name: string, share: number): JobStatus {
    this.controller(name);
    return this.jobs.start('verify', name, (context) => this.#verify(name, share, context));
  }

  startPrune(name: string, dryRun: boolean): JobStatus {
    const { settings } = this.controller(name);
    return this.jobs.start('prune', name, async (context) =>
      pruneChain(await this.chain(name), name, settings, dryRun, context),
    );
  }

  async #verify(name: string, share: number, context: JobContext): Promise<VerifyReport> {
    const report = await verifyChain(await this.chain(name), share, context);
    const [first] = report.findings;
    if (first) {
      this.#logger.error({ machine: name, findings: report.findings }, 'verification found damage');
      const count = report.findings.length;
      throw new FitdocError(
        'VERIFY_FAILED',
        `${count} finding(s) in the checkpoints of ${name}: ${first.message}`,
        {
          hint: 'Look at them with: fitdoc verify --store LOCATION; bring damaged objects back from a copy.',
        },
      );
    }
    const now = Date.now();
    this.#state.setVerified(name, now);
    this.#controllers.get(name)?.setVerified(now);
    return report;
  }

  async #routine(name: string, chore: Chore): Promise<void> {
    const { id } = chore === 'verify' ? this.startVerify(name, ROUTINE_SHARE) : this.startPrune(name, false);
    const status = await this.jobs.ended(id);
    if (status?.state === 'failed')
      this.#logger.warn({ machine: name, problem: status.problem }, `${chore} failed`);
  }

  async #apply(configuration: Configuration): Promise<void> {
    if (this.#stopped) throw new FitdocError('ABORTED', 'The daemon is stopping.');
    const packages = configuration.daemon.adapters.filter((name) => !this.#packages.has(name));
    await this.registry.addPackages(packages);
    for (const name of packages) this.#packages.add(name);
    const before = this.#configuration;
    const ending = [...this.#controllers.values()].filter(
      ({ name }) => !sameAttachment(name, before, configuration),
    );
    await Promise.all(ending.map((controller) => this.#end(controller)));
    this.#configuration = configuration;
    this.repositories.configure(configuration.repositories);
    for (const [name, settings] of Object.entries(configuration.machines)) this.#begin(name, settings);
    this.#announce({ type: 'reloaded', machines: Object.keys(configuration.machines) });
  }

  #begin(name: string, settings: MachineSettings): void {
    const verifiedAt = this.#state.verifiedAt(name);
    const known = this.#controllers.get(name);
    if (known) {
      known.reconfigure(settings);
    } else {
      const controller = this.#controllerFor(name, settings);
      this.#controllers.set(name, controller);
      controller.setVerified(verifiedAt);
      controller.start();
    }
    this.#maintenance.schedule(name, settings, verifiedAt);
  }

  #controllerFor(name: string, settings: MachineSettings): MachineController {
    const logger = this.#logger.child({ machine: name });
    return new MachineController(settings, {
      name,
      engine: this.engine,
      registry: this.registry,
      captures: this.#captures,
      repository: () => this.repositories.get(settings.repository),
      onChange: (machine) => {
        if (machine.machineId !== undefined) this.#state.setMachineId(name, machine.machineId);
        this.#announce({ type: 'machine', machine });
      },
      onCheckpoint: (result, checkpoint) => {
        logger.debug({ checkpoint, notes: result.notes }, 'checkpoint');
        this.events.emit('result', name, result);
        this.#announce({ type: 'checkpoint', machine: name, checkpoint });
      },
      onProblem: (problem) => logger.warn({ problem }, problem.message),
      onMissed: (missed) =>
        logger.warn({ missed }, 'checkpoints left out: the machine falls behind its schedule'),
    });
  }

  async #end(controller: MachineController): Promise<void> {
    this.#maintenance.cancel(controller.name);
    await controller.stop(this.#graceMs);
    this.#controllers.delete(controller.name);
  }

  #inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const turn = this.#changing.then(change, change);
    this.#changing = turn.catch(() => undefined);
    return turn;
  }

  #announce(event: DaemonEvent): void {
    this.events.emit('event', event);
  }
}
