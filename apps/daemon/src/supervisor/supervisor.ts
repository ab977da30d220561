import { EventEmitter } from 'node:events';
import { AdapterRegistry } from '@fitdoc/adapters';
import type { CheckpointResult, Engine } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { Logger } from 'pino';
import type { Configuration, MachineSettings } from '../config/schema.js';
import type { DaemonEvent, JobStatus, MachineStatus } from '../model.js';
import { engineFor } from './engine-for.js';
import { Histories } from './histories.js';
import { Inspections } from './inspections.js';
import { Jobs } from './jobs.js';
import { MachineController } from './machine-controller.js';
import { checkpointOf } from './machine-status.js';
import { Maintenance, type Chore } from './maintenance.js';
import { restoreChain, type Chain, type RestoreWish } from './operations.js';
import { Patterns } from './patterns/patterns.js';
import { Repositories } from './repositories.js';
import { sameAttachment } from './same-attachment.js';
import { Semaphore } from './semaphore.js';
import { Standbys } from './standbys/standbys.js';
import type { PromotionWish } from './standbys/standby-controller.js';
import type { StateFile } from './state-file.js';

interface Events {
  readonly event: [DaemonEvent];
  readonly result: [machine: string, result: CheckpointResult];
  readonly damage: [machine: string];
  /** No machine of the name is protected any longer. */
  readonly gone: [machine: string];
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
  readonly repositories: Repositories;
  readonly #logger: Logger;
  readonly #state: StateFile;
  readonly #captures: Semaphore;
  readonly #controllers = new Map<string, MachineController>();
  readonly #maintenance: Maintenance;
  readonly #histories: Histories;
  readonly #inspections: Inspections;
  readonly patterns: Patterns;
  readonly standbys: Standbys;
  readonly #graceMs: number;
  readonly #packages = new Set<string>();
  /** As it was given, and with the machines that its patterns match. */
  #declared: Configuration;
  #configuration: Configuration;
  /** One change after the other: a reload, a second one, the end. */
  #changing: Promise<unknown> = Promise.resolve();
  #stopped = false;

  private constructor(configuration: Configuration, options: SupervisorOptions) {
    const { daemon } = configuration;
    this.#configuration = configuration;
    this.#declared = configuration;
    this.#logger = options.logger;
    this.#state = options.state;
    const { state, logger } = options;
    this.repositories = new Repositories(this.registry, {
      repositoryId: (name, location) => state.repositoryId(name, location),
      setRepository: (name, location, id) => state.setRepository(name, location, id),
      onNote: (repository, note) => logger.warn({ repository }, note),
    });
    this.#captures = new Semaphore(daemon['max-captures']);
    this.#graceMs = daemon['grace-period'];
    this.engine = engineFor(daemon);
    // The dashboard, the metrics and every reader of the event stream listen here.
    this.events.setMaxListeners(0);
    this.#maintenance = new Maintenance({
      run: (machine, chore) => this.#routine(machine, chore),
      onError: (machine, chore, error) => this.#logger.warn({ machine, err: error }, `${chore} failed`),
    });
    this.#inspections = new Inspections({
      ...{ engine: this.engine, registry: this.registry, logger, state },
      chain: (name) => this.chain(name),
      controller: (name) => this.#controllers.get(name),
    });
    this.#histories = new Histories({
      engine: this.engine,
      logger: this.#logger,
      chain: (name) => this.chain(name),
      settings: (name) => this.#controllers.get(name)?.settings,
      bandwidth: (name) => this.#configuration.repositories[name]?.['merge-bandwidth'],
      onChange: (name) => this.#announce({ type: 'machine', machine: this.status(name) }),
    });
    this.standbys = new Standbys({
      ...{ engine: this.engine, registry: this.registry, repositories: this.repositories, logger },
      onChange: (standby) => this.#announce({ type: 'standby', standby }),
    });
    this.patterns = new Patterns({
      registry: this.registry,
      onLook: (isNews) => this.#looked(isNews),
      onProblem: (pattern, problem) => logger.warn({ pattern, problem }, problem.message),
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
    return this.#inTurn(async () => {
      await this.#apply(configuration);
      this.patterns.watch(configuration);
    });
  }

  /** Ends all protection, leaving every guest running. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#maintenance.close();
    await this.patterns.close();
    const histories = this.#histories.close();
    const jobs = this.jobs.close();
    const standbys = this.standbys.close();
    await this.#inTurn(async () => {
      await Promise.all([...this.#controllers.values()].map((each) => each.stop(this.#graceMs)));
      await jobs;
      await histories;
      await standbys;
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
    this.jobs.hurry();
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  machines(): MachineStatus[] {
    return [...this.#controllers.keys()].map((name) => this.status(name));
  }

  /** Errors: MACHINE_NOT_FOUND. */
  status(name: string): MachineStatus {
    return this.#histories.complete(this.controller(name).status());
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
    return this.jobs.start('verify', name, (context) => this.#inspections.verify(name, share, context));
  }

  startBoot(name: string): JobStatus {
    const { settings } = this.controller(name);
    return this.jobs.start('boot', name, (context) => this.#inspections.boot(name, settings, context));
  }

  startPrune(name: string, dryRun: boolean): JobStatus {
    const { settings } = this.controller(name);
    return this.jobs.start('prune', name, (context) =>
      this.#histories.whole(name, settings, dryRun, context),
    );
  }

  /** Errors: MACHINE_NOT_FOUND, and those of `StandbyController.check`. */
  async startPromotion(name: string, wish: PromotionWish): Promise<JobStatus> {
    const standby = this.standbys.get(name);
    await standby.check(wish);
    return this.jobs.start('promote', name, (context) => standby.promote(wish, context));
  }

  async #routine(name: string, chore: Chore): Promise<void> {
    const { id } = this.#start(name, chore);
    const status = await this.jobs.ended(id);
    if (status?.state === 'failed')
      this.#logger.warn({ machine: name, problem: status.problem }, `${chore} failed`);
  }

  #start(name: string, chore: Chore): JobStatus {
    if (chore === 'verify') return this.startVerify(name, ROUTINE_SHARE);
    return chore === 'boot' ? this.startBoot(name) : this.startPrune(name, false);
  }

  async #apply(declared: Configuration): Promise<void> {
    if (this.#stopped) throw new FitdocError('ABORTED', 'The daemon is stopping.');
    const configuration = this.patterns.complete(declared);
    const packages = configuration.daemon.adapters.filter((name) => !this.#packages.has(name));
    await this.registry.addPackages(packages);
    for (const name of packages) this.#packages.add(name);
    const before = this.#configuration;
    const ending = [...this.#controllers.values()].filter(
      ({ name }) => !sameAttachment(name, before, configuration),
    );
    await Promise.all([
      ...ending.map((controller) => this.#end(controller)),
      this.standbys.end(configuration),
    ]);
    this.#configuration = configuration;
    this.#declared = declared;
    this.repositories.configure(configuration.repositories);
    for (const [name, settings] of Object.entries(configuration.machines)) this.#begin(name, settings);
    this.standbys.begin(configuration);
    for (const { name } of ending) if (!this.#controllers.has(name)) this.events.emit('gone', name);
    const [machines, standbys] = [Object.keys(configuration.machines), Object.keys(configuration.standbys)];
    this.#announce({ type: 'reloaded', machines, standbys });
  }

  /** What patterns match was looked for. */
  async #looked(isNews: boolean): Promise<void> {
    if (isNews) await this.#inTurn(() => this.#apply(this.#declared));
    for (const { name, off } of this.patterns.members) this.#controllers.get(name)?.setOff(off);
  }

  #begin(name: string, settings: MachineSettings): void {
    const member = this.patterns.members.find((each) => each.name === name);
    if (member?.id !== undefined) this.#state.begin(name, member.id);
    const verifiedAt = this.#state.verifiedAt(name);
    const boot = this.#state.bootOf(name);
    const known = this.#controllers.get(name);
    if (known) {
      known.reconfigure(settings);
    } else {
      const controller = this.#controllerFor(name, settings);
      this.#controllers.set(name, controller);
      controller.setOff(member?.off);
      controller.take((record) => {
        record.verified(verifiedAt);
        record.booted(boot);
      });
      controller.start();
    }
    this.#maintenance.schedule(name, settings, { verifiedAtMs: verifiedAt, bootedAtMs: boot?.atMs });
  }

  #controllerFor(name: string, settings: MachineSettings): MachineController {
    const logger = this.#logger.child({ machine: name });
    return new MachineController(settings, {
      name,
      engine: this.engine,
      registry: this.registry,
      captures: this.#captures,
      repository: () => this.repositories.get(settings.repository),
      protector: `${this.#state.id} ${name}`,
      onChange: (machine) => {
        if (machine.machineId !== undefined) this.#state.setMachineId(name, machine.machineId);
        this.#announce({ type: 'machine', machine: this.#histories.complete(machine) });
      },
      onAttached: () => this.#histories.attached(name),
      onCheckpoint: (result, checkpoint) => {
        logger.debug({ checkpoint, notes: result.notes }, 'checkpoint');
        const { failure } = result.cost.pauseHook ?? {};
        if (failure !== undefined) logger.warn(`the pause hook ${failure}`);
        this.events.emit('result', name, result);
        this.#histories.captured(name, result);
        this.#announce({ type: 'checkpoint', machine: name, checkpoint });
      },
      onDamage: (damage) => {
        logger.error({ damage }, `going on without a lost object: ${damage.message}`);
        this.events.emit('damage', name);
      },
      onNote: (text) => logger.warn(text),
      releasedUntilMs: this.#state.releasedUntil(name),
      onReleased: (untilMs) => {
        this.#state.setReleased(name, untilMs);
        logger.info({ until: untilMs }, untilMs === undefined ? 'taken back' : 'released to its operator');
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
    // Last: a checkpoint that was under way is counted before that.
    this.#histories.forget(controller.name);
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
