import { setTimeout as sleep } from 'node:timers/promises';
import type { AdapterRegistry } from '@fitdoc/adapters';
import type { CheckpointResult, Engine, Protection } from '@fitdoc/engine';
import { FitdocError, isFitdocError, PAGE_SIZE, totalPages, type Machine } from '@fitdoc/interface';
import type { Repository } from '@fitdoc/repository';
import type { MachineSettings } from '../config/schema.js';
import type { LastCheckpoint, MachineState, MachineStatus, Problem } from '../model.js';
import { BackOff } from './back-off.js';
import { withHooks } from './hooks.js';
import { paceOf, type Pace } from './pace.js';
import type { Semaphore } from './semaphore.js';

export interface ControllerContext {
  readonly name: string;
  readonly engine: Engine;
  readonly registry: AdapterRegistry;
  readonly captures: Semaphore;
  /** Opens the machine's repository, or gives the one that is open. */
  readonly repository: () => Promise<Repository>;
  readonly onChange: (status: MachineStatus) => void;
  readonly onCheckpoint: (result: CheckpointResult) => void;
  readonly onProblem: (problem: Problem) => void;
}

interface Attachment {
  readonly machine: Machine;
  readonly protection: Protection;
  readonly repository: Repository;
}

/**
 * Keeps one machine protected: attaches, takes checkpoints when they are due, and starts anew after whatever
 * went wrong, with growing waits. Nothing here ends the guest or another machine's protection.
 */
export class MachineController {
  readonly name: string;
  readonly #context: ControllerContext;
  readonly #backOff = new BackOff();
  /** Aborted to end gently: what is under way finishes. */
  readonly #stop = new AbortController();
  /** Aborted to cancel what is under way. */
  readonly #cancel = new AbortController();
  #settings: MachineSettings;
  #pace: Pace;
  #attachment: Attachment | undefined;
  #state: MachineState = 'waiting';
  #since = Date.now();
  #nextDueAt: number | undefined;
  #wake = new AbortController();
  #suspended = false;
  #requested: { resolve: (result: CheckpointResult) => void; reject: (error: unknown) => void }[] = [];
  #loop: Promise<void> | undefined;
  #counts = { checkpoints: 0, failures: 0, missed: 0 };
  #last: LastCheckpoint | undefined;
  #problem: Problem | undefined;
  lastVerifiedAtMs: number | undefined;

  constructor(settings: MachineSettings, context: ControllerContext) {
    this.name = context.name;
    this.#settings = settings;
    this.#pace = paceOf(settings);
    this.#context = context;
  }

  get settings(): MachineSettings {
    return this.#settings;
  }

  get attachment(): Attachment | undefined {
    return this.#attachment;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Takes over settings that need no new attachment. */
  reconfigure(settings: MachineSettings): void {
    this.#settings = settings;
    this.#pace = paceOf(settings);
    this.#wakeUp();
  }

  /** Takes a checkpoint now, beside the schedule. Rejects as the checkpoint does. */
  checkpointNow(): Promise<CheckpointResult> {
    return new Promise((resolve, reject) => {
      this.#requested.push({ resolve, reject });
      this.#wakeUp();
    });
  }

  suspend(): void {
    this.#suspended = true;
    this.#wakeUp();
  }

  resume(): void {
    this.#suspended = false;
    this.#wakeUp();
  }

  /** Ends the protection: gently at first, and after `graceMs` by cancelling. The guest runs on. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort();
    this.#wakeUp();
    const timer = setTimeout(() => this.#cancel.abort(), graceMs);
    await this.#loop;
    clearTimeout(timer);
    for (const { reject } of this.#requested.splice(0)) {
      reject(new FitdocError('ABORTED', `The protection of ${this.name} was ended.`));
    }
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        this.#enter('attaching');
        this.#attachment = await this.#attach();
        this.#backOff.reset();
        await this.#protect(this.#attachment);
      } catch (error) {
        this.#fail(error);
      } finally {
        await this.#detach();
      }
      if (this.#stop.signal.aborted) break;
      this.#enter(this.#problem?.code === 'MACHINE_PAUSED' ? 'stuck' : 'waiting');
      await this.#pauseFor(this.#backOff.next());
    }
    this.#enter('waiting');
  }

  async #attach(): Promise<Attachment> {
    const { engine, registry } = this.#context;
    const repository = await this.#context.repository();
    const { hypervisor, rest } = await registry.hypervisorFor(this.#settings.location);
    const { disks, every, config } = this.#settings;
    const machineId = this.#settings['machine-id'];
    const signal = this.#cancel.signal;
    const machine = await hypervisor.attach(rest, {
      signal,
      disks,
      ...(machineId !== undefined && { machineId }),
      ...(every !== undefined && { intervalMs: every }),
      ...(config && { config }),
    });
    try {
      const { compressor, level } = this.#settings;
      const protection = await engine.protect(machine, repository, {
        signal,
        ...(compressor !== undefined && { compressor }),
        ...(level !== undefined && { level }),
        onEvent: (event) => {
          if (event.type === 'resume-failed') this.#note(event.error);
        },
      });
      return { machine, protection, repository };
    } catch (error) {
      await machine.detach();
      throw error;
    }
  }

  /** Takes checkpoints until the machine is gone, a stop is asked for, or the attachment is of no more use. */
  async #protect({ machine, protection }: Attachment): Promise<void> {
    let due = Date.now();
    while (!this.#stop.signal.aborted) {
      this.#nextDueAt = this.#suspended ? undefined : due;
      this.#enter(this.#suspended ? 'suspended' : 'protected');
      if (!this.#requested.length && (this.#suspended || due > Date.now())) await this.#idle(due, machine.gone);
      if (machine.gone.aborted) throw machine.gone.reason;
      if (this.#stop.signal.aborted) return;
      const asked = this.#requested.splice(0);
      const isDue = !this.#suspended && Date.now() >= due;
      if (!isDue && asked.length === 0) continue;
      await this.#checkpoint(protection, asked);
      if (isDue) due = this.#following(due);
    }
  }

  #following(due: number): number {
    const now = Date.now();
    const interval = this.#pace.intervalMs;
    if (interval !== undefined && now > due + interval) {
      this.#counts.missed += Math.floor((now - due) / interval);
    }
    return this.#pace.next(due, now);
  }

  async #checkpoint(protection: Protection, asked: typeof this.#requested): Promise<void> {
    const signal = this.#cancel.signal;
    const take = (): Promise<CheckpointResult> =>
      withHooks(
        this.#settings.hooks,
        { machine: this.name, location: this.#settings.location },
        () => protection.checkpoint({ signal }),
        (error) => this.#note(error),
      );
    try {
      // Waiting for a place is no part of the capture: the guest runs, and the state says so.
      const result = await this.#context.captures.run(() => {
        this.#enter('capturing');
        return take();
      }, signal);
      this.#succeed(result);
      for (const { resolve } of asked) resolve(result);
    } catch (error) {
      for (const { reject } of asked) reject(error);
      this.#note(error);
      this.#counts.failures++;
      if (!isFitdocError(error) || needsNewAttachment(error)) throw error;
      // The attachment is good: what failed is part of the next checkpoint.
      await this.#pauseFor(Math.min(1000, this.#pace.intervalMs ?? 1000));
    }
  }

  #succeed(result: CheckpointResult): void {
    const { entry, cost } = result;
    this.#counts.checkpoints++;
    this.#pace.learn(cost.pauseMs, cost.commitMs);
    this.#last = {
      id: entry.id,
      sequence: entry.sequence,
      kind: entry.kind,
      capturedAt: new Date(entry.capturedAtMs).toISOString(),
      pauseMs: cost.pauseMs,
      dirtyPages: cost.dirtyPages,
      changedWords: cost.changedWords,
      storedBytes: entry.bytes,
    };
    const budget = this.#settings['pause-budget'];
    if (budget !== undefined && cost.pauseMs > budget && entry.kind === 'increment') {
      this.#note(
        new FitdocError('CAPTURE_FAILED', `The pause of ${Math.round(cost.pauseMs)} ms exceeds the budget of ${budget} ms.`, {
          hint: 'Shorten the interval: less is dirty then. The checkpoint itself is good.',
        }),
      );
    } else {
      this.#problem = undefined;
    }
    this.#context.onCheckpoint(result);
  }

  #fail(error: unknown): void {
    if (this.#cancel.signal.aborted || this.#stop.signal.aborted) return;
    this.#note(error);
  }

  #note(error: unknown): void {
    const { message } = error instanceof Error ? error : new Error(String(error));
    const hint = isFitdocError(error) ? error.hint : undefined;
    const code = isFitdocError(error) ? error.code : 'INTERNAL';
    this.#problem = { at: new Date().toISOString(), code, message, ...(hint !== undefined && { hint }) };
    this.#context.onProblem(this.#problem);
    this.#changed();
  }

  async #detach(): Promise<void> {
    const attachment = this.#attachment;
    this.#attachment = undefined;
    this.#nextDueAt = undefined;
    if (!attachment) return;
    await attachment.protection.end().catch((error: unknown) => this.#note(error));
    await attachment.machine.detach().catch((error: unknown) => this.#note(error));
  }

  async #idle(due: number, gone: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#wake.signal, this.#stop.signal, gone]);
    const wait = this.#suspended ? 2 ** 30 : Math.min(due - Date.now(), 2 ** 30);
    await sleep(Math.max(0, wait), undefined, { signal }).catch(() => undefined);
    this.#wake = new AbortController();
  }

  async #pauseFor(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  #wakeUp(): void {
    this.#wake.abort();
  }

  #enter(state: MachineState): void {
    if (this.#state !== state) this.#since = Date.now();
    this.#state = state;
    this.#changed();
  }

  #changed(): void {
    this.#context.onChange(this.status());
  }

  status(): MachineStatus {
    const { machine, protection } = this.#attachment ?? {};
    const interval = this.#pace.intervalMs;
    return {
      name: this.name,
      location: this.#settings.location,
      repository: this.#settings.repository,
      state: this.#state,
      since: new Date(this.#since).toISOString(),
      schedule: this.#pace.description,
      ...this.#counts,
      limits: machine?.supports.limits ?? [],
      ...(machine && {
        machineId: machine.info.id,
        hypervisor: machine.info.hypervisor,
        memoryBytes: totalPages(machine.info.regions) * PAGE_SIZE,
      }),
      ...(protection && { imageBytes: protection.imageBytes, chainDepth: protection.chainLength }),
      ...(this.#nextDueAt !== undefined && { nextDueAt: new Date(this.#nextDueAt).toISOString() }),
      ...(interval !== undefined && { intervalMs: interval }),
      ...(this.#last && { lastCheckpoint: this.#last }),
      ...(this.#problem && { lastProblem: this.#problem }),
      ...(this.lastVerifiedAtMs !== undefined && { lastVerifiedAt: new Date(this.lastVerifiedAtMs).toISOString() }),
    };
  }
}

/** After these no capture of the same attachment can succeed. */
function needsNewAttachment(error: FitdocError): boolean {
  return ['MACHINE_GONE', 'MACHINE_PAUSED', 'PROTOCOL_ERROR', 'CHECKPOINT_NOT_FOUND', 'REPOSITORY_DAMAGED'].includes(error.code);
}

