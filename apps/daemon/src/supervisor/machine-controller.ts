import type { CheckpointResult } from '@fitdoc/engine';
import { abortError, isFitdocError, withLinkedSignal, type FitdocError } from '@fitdoc/interface';
import type { MachineSettings } from '../config/schema.js';
import type { Damage, MachineState, MachineStatus } from '../model.js';
import { Alarm } from './alarm.js';
import { attachTo, detachFrom, type Attachment } from './attachment.js';
import { BackOff } from './back-off.js';
import type { ControllerContext } from './controller-context.js';
import { ended, needsNewAttachment, overBudget } from './failures.js';
import { withHooks } from './hooks.js';
import { MachineRecord } from './machine-record.js';
import { statusOf } from './machine-status.js';
import { paceOf, samePace, type Pace } from './pace.js';
import { Release } from './release.js';
import { Requests, type Request } from './requests.js';
import { StandingWatch } from './standing-watch.js';
import { steadyNow } from './steady-clock.js';

/** How often a guest that stands, or may, is asked, milliseconds: its operator may let it run at any time. */
const LOOK_MS = 1000;
const LOOK_RUNNING_MS = 5000;
/** And one of which others tell when it does. */
const LOOK_OFF_MS = 60_000;

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
  /** When the next checkpoint, or without an attachment the next try, is due, by the steady clock; undefined: open. */
  #due: number | undefined;
  #loop: Promise<void> | undefined;
  readonly #record = new MachineRecord();
  readonly #standing = new StandingWatch();
  readonly #release: Release;

  constructor(settings: MachineSettings, context: ControllerContext) {
    this.name = context.name;
    this.#settings = settings;
    this.#pace = paceOf(settings);
    this.#context = context;
    this.#release = new Release(context.releasedUntilMs, context.onReleased);
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
    if (this.#attachment && !this.#suspended) this.#due = this.#pace.next(steadyNow(), steadyNow());
    this.#changed();
    this.#alarm.ring();
  }

  /**
   * Takes a checkpoint now, beside the schedule and even when that is suspended. Rejects as the checkpoint or
   * the attachment that it needs does; ABORTED when the signal comes first.
   */
  checkpointNow(signal?: AbortSignal): Promise<CheckpointResult> {
    if (this.#stop.signal.aborted) return Promise.reject(ended(this.name));
    if (this.#release.active) return Promise.reject(this.#release.refusal(this.name));
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

  /**
   * Lets go of the machine for so many milliseconds, so that its operator can migrate it, save it or plug devices.
   * Resolves when nothing is attached; what is under way finishes first. Ended early by `resume`.
   */
  async release(forMs: number): Promise<void> {
    const reached = this.#release.begin(forMs);
    this.#alarm.ring();
    await reached;
  }

  /** Goes on after `suspend` or `release`, and ends a wait for the next try. */
  resume(): void {
    this.#release.end();
    if (this.#suspended && this.#attachment) this.#due = steadyNow();
    this.#suspended = false;
    this.#tryNow();
  }

  /** Takes down what was found out beside the checkpoints: that all is whole, that one runs. */
  take(down: (record: MachineRecord) => void): void {
    down(this.#record);
    this.#changed();
  }

  /** Somebody else knows that the machine does not run: it is left alone until that is over (undefined). */
  setOff(why: FitdocError | undefined): void {
    if (this.#standing.setOff(why)) this.#tryNow();
  }

  /** Objects were found damaged: what the next checkpoint would build on is left behind. */
  distrust(keys: readonly string[], error: FitdocError): void {
    this.#attachment?.protection.distrust(keys, error);
  }

  /** Ends the protection: gently at first, and after `graceMs` by cancelling. The guest runs on. */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort(ended(this.name));
    this.#alarm.ring();
    const timer = setTimeout(() => this.cancel(), graceMs);
    await this.#loop;
    clearTimeout(timer);
    this.#requests.rejectAll(ended(this.name));
  }

  /** Cancels what is under way; only after `stop` was called. */
  cancel(): void {
    this.#cancel.abort(ended(this.name));
  }

  status(): MachineStatus {
    return statusOf({
      name: this.name,
      settings: this.#settings,
      state: this.#state,
      sinceMs: this.#since,
      pace: this.#pace,
      attachment: this.#attachment,
      nextDueMs: this.#due === undefined ? undefined : Date.now() + this.#due - steadyNow(),
      ...this.#record.snapshot(),
      standing: this.#standing.why,
      releasedUntilMs: this.#release.active ? this.#release.untilMs : undefined,
    });
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      if (this.#release.active) {
        await this.#stayAway();
        continue;
      }
      let state: 'stuck' | 'standing' | 'waiting' = 'waiting';
      try {
        await this.#attach();
        await this.#protect();
      } catch (error) {
        state = this.#stateAfter(error);
        this.#requests.rejectAll(error);
      }
      await this.#detach();
      if (this.#stopping) break;
      if (!this.#release.active) await this.#waitForNextTry(state);
    }
    this.#release.reached();
    this.#enter('waiting');
  }

  #stateAfter(error: unknown): 'stuck' | 'standing' | 'waiting' {
    if (this.#standing.ended(error)) return 'standing';
    if (!this.#stopping) this.#note(error);
    return isFitdocError(error, 'MACHINE_PAUSED') ? 'stuck' : 'waiting';
  }

  /** Keeps away from the machine until its release ends. */
  async #stayAway(): Promise<void> {
    this.#standing.why = undefined;
    this.#requests.rejectAll(this.#release.refusal(this.name));
    this.#enter('released');
    this.#release.reached();
    while (!this.#stopping && this.#release.active) {
      this.#due = steadyNow() + this.#release.remainingMs;
      this.#changed();
      await this.#alarm.wait(this.#due - steadyNow());
    }
    // A daemon that ends leaves it as it is: the next one keeps away as well.
    if (!this.#stopping) this.#release.end();
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  async #attach(): Promise<void> {
    this.#standing.assertOn();
    this.#due = undefined;
    this.#enter('attaching');
    const attachment = await attachTo(this.#settings, this.#context, this.#cancel.signal, (damage) =>
      this.#damaged(damage),
    );
    this.#attachment = attachment;
    attachment.machine.gone.addEventListener('abort', this.#alarm.ring, { once: true });
    const head = attachment.protection.head?.entry;
    if (head) this.#record.found(head);
    this.#context.onAttached();
    this.#due = this.#suspended ? undefined : this.#pace.first(steadyNow(), head !== undefined);
  }

  /** Takes checkpoints until a stop or a release is asked for. Throws when the attachment is of no more use. */
  async #protect(): Promise<void> {
    const gone = this.#attachment?.machine.gone;
    while (!this.#stopping && !this.#release.active) {
      if (gone?.aborted) throw abortError(gone);
      if (await this.#stands()) {
        await this.#alarm.wait(LOOK_MS);
        continue;
      }
      const now = steadyNow();
      if (this.#due !== undefined) this.#due = this.#pace.revise?.(this.#due, now) ?? this.#due;
      const isDue = this.#due !== undefined && now >= this.#due;
      if (isDue || this.#requests.size > 0) {
        await this.#serve(isDue);
        continue;
      }
      this.#enter(this.#suspended ? 'suspended' : 'protected');
      await this.#alarm.wait(Math.min(LOOK_RUNNING_MS, (this.#due ?? Number.POSITIVE_INFINITY) - now));
    }
  }

  /** Whether the guest stands, by its operator's doing or its own: then nothing is due, and nothing has failed. */
  async #stands(): Promise<boolean> {
    const found = await this.#standing.look(this.#attachment as Attachment, this.#cancel.signal);
    if (found === 'stands') {
      this.#requests.rejectAll(this.#standing.why);
      this.#enter('standing');
      return true;
    }
    // It goes on at once: what it wrote before it stood is not stored yet.
    if (found === 'again' && this.#due !== undefined) this.#due = steadyNow();
    return false;
  }

  /** Takes the checkpoint that is due, asked for, or both, and sets when the next one is due. */
  async #serve(isDue: boolean): Promise<void> {
    const due = this.#due;
    const good = await this.#checkpoint(this.#requests.take(), isDue);
    // Suspended, resumed or given another schedule meanwhile: that is newer.
    if (this.#due !== due) return;
    if (isDue && due !== undefined) this.#due = this.#pace.next(due, steadyNow());
    if (!good && this.#due !== undefined) this.#due = Math.max(this.#due, steadyNow() + this.#backOff.next());
    if (due === undefined || this.#due === undefined) return;
    const missed = this.#pace.missed(due, this.#due);
    if (missed === 0) return;
    this.#record.missed(missed);
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
      if (isFitdocError(error, 'MACHINE_NOT_RUNNING')) return true;
      if (!isFitdocError(error) || error.details['ended'] !== true) this.#record.failed();
      if (!isFitdocError(error) || needsNewAttachment(error)) throw error;
      // The attachment is good: what failed is part of the next checkpoint.
      this.#note(error);
      return false;
    }
  }

  #capture(signal: AbortSignal): Promise<CheckpointResult> {
    this.#record.begun();
    this.#enter('capturing');
    return withHooks(
      this.#settings.hooks,
      { machine: this.name, location: this.#settings.location },
      () => (this.#attachment as Attachment).protection.checkpoint({ signal }),
      { signal, onAfterFailed: (error) => this.#note(error) },
    );
  }

  #succeed(result: CheckpointResult): void {
    const { entry, cost } = result;
    this.#backOff.reset();
    this.#pace.learn(cost.pauseMs, cost.commitMs);
    const last = this.#record.taken(result);
    const budget = this.#settings['pause-budget'];
    if (budget !== undefined && cost.pauseMs > budget && entry.kind === 'increment') {
      this.#note(overBudget(cost.pauseMs, budget));
    }
    this.#context.onCheckpoint(result, last);
  }

  async #waitForNextTry(state: 'stuck' | 'standing' | 'waiting'): Promise<void> {
    const look = this.#standing.isOff ? LOOK_OFF_MS : LOOK_MS;
    const wait = state === 'standing' ? look : this.#backOff.next();
    // Whoever asked while the last attachment ended is not made to wait.
    this.#due = steadyNow() + (this.#requests.size > 0 ? 0 : wait);
    this.#enter(state);
    while (!this.#stopping && !this.#release.active && this.#due > steadyNow())
      await this.#alarm.wait(this.#due - steadyNow());
  }

  #tryNow(): void {
    if (!this.#attachment) this.#due = steadyNow();
    this.#alarm.ring();
  }

  async #detach(): Promise<void> {
    const attachment = this.#attachment;
    if (!attachment) return;
    attachment.machine.gone.removeEventListener('abort', this.#alarm.ring);
    await detachFrom(attachment, (error) => this.#note(error), this.#context.onNote);
    this.#attachment = undefined;
    this.#due = undefined;
  }

  #note(error: unknown): void {
    this.#context.onProblem(this.#record.trouble(error));
    this.#changed();
  }

  #damaged(damage: Damage): void {
    this.#record.damaged(damage);
    this.#context.onDamage(damage);
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
}
