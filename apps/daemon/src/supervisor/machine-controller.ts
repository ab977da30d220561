import type { CheckpointResult } from '@fitdoc/engine';
import { abortError, FitdocError, isFitdocError } from '@fitdoc/interface';
import type { MachineSettings } from '../config/schema.js';
import type { LastCheckpoint, MachineState, MachineStatus, Problem } from '../model.js';
import { Alarm } from './alarm.js';
import { attachTo, detachFrom, type AttachContext, type Attachment } from './attachment.js';
import { BackOff } from './back-off.js';
import { withHooks } from './hooks.js';
import { withLinkedSignal } from './linked-signal.js';
import { checkpointOf, entryAsLast, statusOf } from './machine-status.js';
import { paceOf, samePace, type Pace } from './pace.js';
import { problemOf } from './problem.js';
import { Requests, type Request } from './requests.js';
import type { Semaphore } from './semaphore.js';

export interface ControllerContext extends AttachContext {
  readonly name: string;
  readonly captures: Semaphore;
  readonly onChange: (status: MachineStatus) => void;
  readonly onCheckpoint: (result: CheckpointResult, checkpoint: LastCheckpoint) => void;
  readonly onProblem: (problem: Problem) => void;
  readonly onMissed: (missed: number) => void;
}

/**
 * Keeps one machine protected: attaches, takes checkpoints when they are due, and starts anew after whatever
 * went wrong, with growing waits. One loop does everything in turn, so captures never overlap; everyone else
 * leaves a wish and rings. Nothing here ends the guest or another machine's protection.
 */
export class MachineController {
  readonly name: string;
  readonly #context: ControllerContext;
  readonly #backOff = new BackOff();
  readonly #alarm = new Alarm();
  readonly #requests = new Requests();
  /** Aborted to end gently: what is under way finishes. */
  readonly #stop = new AbortController();
  /** Aborted to cancel what is under way. */
  readonly #cancel = new AbortController();
  #settings: MachineSettings;
  #pace: Pace;
  #attachment: Attachment | undefined;
  #state: MachineState = 'waiting';
  #since = Date.now();
  #suspended = false;
  /** When the next checkpoint, or without an attachment the next try, is due; undefined when it is open. */
  #due: number | undefined;
  #loop: Promise<void> | undefined;
  #counts = { checkpoints: 0, failures: 0, missed: 0 };
  #last: LastCheckpoint | undefined;
  #problem: Problem | undefined;
  #verifiedMs: number | undefined;

  constructor(settings: MachineSettings, context: ControllerContext) {
    this.name = context.name;
    this.#settings = settings;
    this.#pace = paceOf(settings);
    this.#context = context;
  }

  get settings(): MachineSettings {
    return this.#settings;
  }

  get machineId(): string | undefined {
    return this.#attachment?.machine.info.id;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Takes over settings that need no new attachment. A schedule that stays keeps its beat. */
  reconfigure(settings: MachineSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    if (samePace(before, settings)) return;
    this.#pace = paceOf(settings);
    if (this.#attachment && !this.#suspended) this.#due = this.#pace.next(Date.now(), Date.now());
    this.#changed();
    this.#alarm.ring();
  }

  /**
   * Takes a checkpoint now, beside the schedule and even when that is suspended. Rejects as the checkpoint or
   * the attachment that it needs does; ABORTED when the signal comes first.
   */
  checkpointNow(signal?: AbortSignal): Promise<CheckpointResult> {
    if (this.#stop.signal.aborted) return Promise.reject(this.#endedError());
    const result = this.#requests.add(signal);
    this.#tryNow();
    return result;
  }

  /** Takes no checkpoints until `resume`; the attachment stays and the guest's writes are logged on. */
  suspend(): void {
    this.#suspended = true;
    if (this.#attachment) this.#due = undefined;
    this.#alarm.ring();
  }

  /** Goes on after `suspend`, and ends a wait for the next try. */
  resume(): void {
    if (this.#suspended && this.#attachment) this.#due = Date.now();
    this.#suspended = false;
    this.#tryNow();
  }

  setVerified(atMs: number | undefined): void {
    this.#verifiedMs = atMs;
    this.#changed();
  }

  /** Ends the protection: gently at first, and after `graceMs` by cancelling. The guest runs on. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort(this.#endedError());
    this.#alarm.ring();
    const timer = setTimeout(() => this.cancel(), graceMs);
    await this.#loop;
    clearTimeout(timer);
    this.#requests.rejectAll(this.#endedError());
  }

  /** Cancels what is under way; only after `stop` was called. */
  cancel(): void {
    this.#cancel.abort(this.#endedError());
  }

  status(): MachineStatus {
    return statusOf({
      name: this.name,
      settings: this.#settings,
      state: this.#state,
      sinceMs: this.#since,
      pace: this.#pace,
      counts: this.#counts,
      attachment: this.#attachment,
      nextDueMs: this.#due,
      last: this.#last,
      problem: this.#problem,
      verifiedMs: this.#verifiedMs,
    });
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let stuck = false;
      try {
        await this.#attach();
        await this.#protect();
      } catch (error) {
        stuck = isFitdocError(error, 'MACHINE_PAUSED');
        if (!this.#stopping) this.#note(error);
        this.#requests.rejectAll(error);
      }
      await this.#detach();
      if (this.#stopping) break;
      await this.#waitForNextTry(stuck ? 'stuck' : 'waiting');
    }
    this.#enter('waiting');
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  async #attach(): Promise<void> {
    this.#due = undefined;
    this.#enter('attaching');
    const attachment = await attachTo(this.#settings, this.#context, this.#cancel.signal, (error) =>
      this.#note(error),
    );
    this.#attachment = attachment;
    attachment.machine.gone.addEventListener('abort', this.#alarm.ring, { once: true });
    const head = attachment.protection.head?.entry;
    if (head) this.#last = entryAsLast(head);
    const now = Date.now();
    this.#due = this.#suspended ? undefined : this.#pace.first(now, head !== undefined);
  }

  /** Takes checkpoints until a stop is asked for. Throws when the attachment is of no more use. */
  async #protect(): Promise<void> {
    const gone = this.#attachment?.machine.gone;
    while (!this.#stopping) {
      if (gone?.aborted) throw abortError(gone);
      const now = Date.now();
      const isDue = this.#due !== undefined && now >= this.#due;
      if (isDue || this.#requests.size > 0) {
        await this.#serve(isDue);
        continue;
      }
      this.#enter(this.#suspended ? 'suspended' : 'protected');
      await this.#alarm.wait(this.#due === undefined ? Number.POSITIVE_INFINITY : this.#due - now);
    }
  }

  /** Takes the checkpoint that is due, asked for, or both, and sets when the next one is due. */
  async #serve(isDue: boolean): Promise<void> {
    const due = this.#due;
    const good = await this.#checkpoint(this.#requests.take(), isDue);
    // Suspended, resumed or given another schedule meanwhile: that is newer.
    if (this.#due !== due) return;
    if (isDue && due !== undefined) this.#due = this.#pace.next(due, Date.now());
    if (!good && this.#due !== undefined) this.#due = Math.max(this.#due, Date.now() + this.#backOff.next());
    if (due === undefined || this.#due === undefined) return;
    const missed = this.#pace.missed(due, this.#due);
    if (missed === 0) return;
    this.#counts.missed += missed;
    this.#context.onMissed(missed);
  }

  /** Whether a checkpoint was taken, or cancelled by its only asker. */
  async #checkpoint(asked: readonly Request[], isDue: boolean): Promise<boolean> {
    const alone = !isDue && asked.length === 1 ? asked[0]?.signal : undefined;
    const sources = alone ? [this.#cancel.signal, alone] : [this.#cancel.signal];
    try {
      // Waiting for a place is no part of the capture: the guest runs, and a stop ends the wait at once.
      const result = await this.#context.captures.run(
        () => withLinkedSignal(sources, (signal) => this.#capture(signal)),
        this.#stop.signal,
      );
      this.#succeed(result);
      for (const { resolve } of asked) resolve(result);
      return true;
    } catch (error) {
      for (const { reject } of asked) reject(error);
      if (this.#stopping || alone?.aborted) return true;
      this.#counts.failures++;
      if (!isFitdocError(error) || needsNewAttachment(error)) throw error;
      // The attachment is good: what failed is part of the next checkpoint.
      this.#note(error);
      return false;
    }
  }

  #capture(signal: AbortSignal): Promise<CheckpointResult> {
    this.#enter('capturing');
    const { protection } = this.#attachment as Attachment;
    return withHooks(
      this.#settings.hooks,
      { machine: this.name, location: this.#settings.location },
      () => protection.checkpoint({ signal }),
      { signal, onAfterFailed: (error) => this.#note(error) },
    );
  }

  #succeed(result: CheckpointResult): void {
    const { entry, cost } = result;
    this.#backOff.reset();
    this.#counts.checkpoints++;
    this.#pace.learn(cost.pauseMs, cost.commitMs);
    this.#last = checkpointOf(result);
    const budget = this.#settings['pause-budget'];
    if (budget !== undefined && cost.pauseMs > budget && entry.kind === 'increment') {
      this.#note(overBudget(cost.pauseMs, budget));
    } else if (this.#problem && Date.parse(this.#problem.at) < entry.capturedAtMs) {
      this.#problem = undefined;
    }
    this.#context.onCheckpoint(result, this.#last);
  }

  async #waitForNextTry(state: 'stuck' | 'waiting'): Promise<void> {
    // Whoever asked while the last attachment ended is not made to wait.
    this.#due = Date.now() + (this.#requests.size > 0 ? 0 : this.#backOff.next());
    this.#enter(state);
    while (!this.#stopping && this.#due > Date.now()) await this.#alarm.wait(this.#due - Date.now());
  }

  #tryNow(): void {
    if (!this.#attachment) this.#due = Date.now();
    this.#alarm.ring();
  }

  async #detach(): Promise<void> {
    const attachment = this.#attachment;
    if (!attachment) return;
    attachment.machine.gone.removeEventListener('abort', this.#alarm.ring);
    await detachFrom(attachment, (error) => this.#note(error));
    this.#attachment = undefined;
    this.#due = undefined;
  }

  #note(error: unknown): void {
    this.#problem = problemOf(error);
    this.#context.onProblem(this.#problem);
    this.#changed();
  }

  #enter(state: MachineState): void {
    if (this.#state !== state) this.#since = Date.now();
    this.#state = state;
    this.#changed();
  }

  #changed(): void {
    this.#context.onChange(this.status());
  }

  #endedError(): FitdocError {
    return new FitdocError('ABORTED', `The protection of ${this.name} was ended.`, {
      hint: 'It begins again when the configuration names the machine and the daemon runs.',
    });
  }
}

/** After these no capture of the same attachment can succeed. */
function needsNewAttachment({ code }: FitdocError): boolean {
  return /^(MACHINE_(GONE|PAUSED|NOT_FOUND)|PROTOCOL_ERROR|CHECKPOINT_NOT_FOUND|REPOSITORY_DAMAGED|STORE_CLOSED)$/.test(
    code,
  );
}

function overBudget(pauseMs: number, budgetMs: number): FitdocError {
  const message = `The pause of ${Math.round(pauseMs)} ms exceeds the budget of ${budgetMs} ms.`;
  return new FitdocError('CAPTURE_FAILED', message, {
    hint: 'Shorten the interval: less is dirty then. The checkpoint itself is good.',
  });
}
