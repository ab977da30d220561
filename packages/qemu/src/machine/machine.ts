import {
  abortError,
  checkPauseTask,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  withLinkedSignal,
  totalPages,
  type CallOptions,
  type CaptureOptions,
  type DetachOptions,
  type Harvest,
  type Machine,
  type MachineInfo,
  type MachineSupports,
  type PauseBudget,
  type PageSink,
} from '@fitdoc/interface';
import { isBeforeCapture, Quiescing } from '../agent/quiesce.js';
import type { Disks } from '../disks/disks.js';
import type { Door } from '../door.js';
import type { Attached } from '../guard/attached.js';
import { leftPending, neverBegan, notLetGo, ranFor } from '../session/notes.js';
import { migrationState, release, type Released } from '../session/release.js';
import type { Captured } from '../session/captured.js';
import { Session, type SessionParts } from '../session/session.js';
import { setCapabilities } from '../session/settings.js';
import { nowMs } from '../clock.js';
import { Beside } from './beside.js';
import { Outlook } from './outlook.js';
import { hasRoom, noted, readWhileRunning } from './room.js';
import { endOf } from './end.js';
import { detached, occupied } from './refusals.js';
import { notRunning } from './run-state.js';
import { frozenState } from './frozen-state.js';
import { sameLayout } from './same-layout.js';
import { whileItStands } from './while-it-stands.js';

/** What an attachment is made of. */
export interface Attachment extends SessionParts {
  /** Where they are captured. */
  readonly disks: Disks | undefined;
  /** Whoever attached has said that others keep the disks, whichever there are. */
  readonly disksAreOthers: boolean;
  /** What is put back when the attachment ends, by us or by the guard. */
  readonly attached: Attached;
  readonly door: Door;
  /** Begun with the attachment. */
  readonly session: Session | undefined;
  /** Socket of the channel to the agent in the guest, where it can be reached. */
  readonly agent: string | undefined;
}

/** A QEMU guest that fitdoc is attached to. */
export class QemuMachine implements Machine {
  readonly gone: AbortSignal;
  private busy: AbortController | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private owed = false;
  private session: Session | undefined;
  private detaching: Promise<Released> | undefined;
  private colo: boolean;
  private readonly beside: Beside;
  private readonly outlook: Outlook;
  private readonly quiescing: Quiescing;
  /** Of captures before, to be noted with the next. */
  private untold: readonly string[] = [];

  constructor(
    readonly info: MachineInfo,
    readonly supports: MachineSupports,
    private readonly parts: Attachment,
  ) {
    this.colo = parts.colo;
    this.session = parts.session;
    this.gone = endOf(parts.qmp);
    this.beside = new Beside(parts, info, this.gone);
    const { agent, attached } = parts;
    this.quiescing = new Quiescing(agent, attached.freezes.bind(attached));
    this.outlook = new Outlook(parts.qmp, totalPages(info.regions));
    this.gone.addEventListener('abort', () => void this.abandon(), { once: true });
  }

  async capture(sink: PageSink, options: CaptureOptions = {}): Promise<Harvest> {
    throwIfAborted(options.signal);
    throwIfAborted(this.gone);
    if (this.detaching !== undefined) throw detached();
    if (this.busy !== undefined || this.owed) throw occupied(this.busy !== undefined);
    const busy = new AbortController();
    this.busy = busy;
    const signals = [busy.signal, this.gone, options.signal];
    const call = withLinkedSignal(signals, (signal) => this.attempt(sink, options, signal));
    this.running = call.catch(() => undefined);
    try {
      const captured = await call;
      // A reset that met the pause may have left QEMU's main loop waiting for its CPUs: a question brings it out.
      this.parts.qmp.execute('query-status').catch(() => undefined);
      this.owed = true;
      return this.harvest({ ...captured, deviceState: [...captured.deviceState, ...frozenState(captured)] });
    } finally {
      this.busy = undefined;
    }
  }

  async standing({ signal }: CallOptions = {}): Promise<FitdocError | undefined> {
    throwIfAborted(this.gone);
    const { qmp } = this.parts;
    const { running, status } = await qmp
      .execute<{ running: boolean; status: string }>('query-status', {}, { signal })
      .catch((error: unknown) => {
        throwIfAborted(this.gone);
        throw error;
      });
    // In COLO's pause it stands because of us.
    return running || status === 'colo' ? undefined : notRunning(this.parts.pauses.nameOf(status));
  }

  async detach({ signal, onNote }: DetachOptions = {}): Promise<void> {
    this.detaching ??= this.leave();
    const { pending, ranMs } = await (signal === undefined
      ? this.detaching
      : Promise.race([this.detaching, aborted(signal)]));
    if (ranMs !== undefined) onNote?.(ranFor(ranMs));
    if (pending !== undefined) onNote?.(leftPending(pending));
  }

  private async attempt(sink: PageSink, options: CaptureOptions, signal: AbortSignal): Promise<Captured> {
    const { onProgress, pauseBudget, pauseTask } = options;
    checkPauseTask(pauseTask, this.parts.config.timeoutMs, 'the setting timeoutMs');
    const total = totalPages(this.info.regions);
    await this.checkRuns(signal);
    try {
      const expectedMs = pauseBudget && (await this.outlook.expectedMs(nowMs(), signal));
      const started = nowMs();
      const whole = options.full === true || isOver(pauseBudget, expectedMs);
      const crowded = whole ? undefined : await this.crowded(sink);
      const session = await this.ready(whole || crowded !== undefined, signal);
      let pages = 0;
      const onPages = (done: number): void => {
        pages = done;
        onProgress?.({ phase: 'reading pages', done, unit: 'pages', ...(session.full ? { total } : {}) });
      };
      const { disks } = this.parts;
      await disks?.prepare({ full: options.full === true, moments: options.diskMoments }, signal);
      const inPause = whileItStands(disks, pauseTask);
      const told = this.beside.ask(session.full, signal);
      // Else a capture that fails before leaves it unobserved.
      told.catch(() => undefined);
      const to = { sink, totalPages: total, onPages };
      const taken = await this.quiescing.around(options.quiesce, signal, async () => {
        const call = session.capture(to, signal, pauseBudget, inPause);
        return options.quiesce ? call.catch(async (error: unknown) => this.letRun(error)) : call;
      });
      const deviceState = [...taken.deviceState, ...(await told)];
      const captured = noted({ ...taken, deviceState }, crowded);
      if (session.over) this.session = undefined;
      const { kind, pauseMs, capturedAtMs } = captured;
      this.outlook.learn(kind, pages, pauseMs, capturedAtMs);
      if (captured.withoutColo) return await this.goOnWithoutColo(captured);
      if (pauseBudget === undefined) return captured;
      const { maxMs } = pauseBudget;
      const waitedMs = Math.max(0, capturedAtMs - started);
      const estimated = expectedMs === undefined ? {} : { estimatedMs: expectedMs };
      return { ...captured, pauseBudget: { maxMs, ...estimated, waitedMs, kept: pauseMs <= maxMs } };
    } catch (error) {
      // QEMU still waits for our answer with everything that is dirty: it can wait until the guest runs again.
      const untouched = isFitdocError(error, 'MACHINE_NOT_RUNNING') || isBeforeCapture(error);
      if (untouched && this.session?.full === false) {
        await this.parts.disks?.forgo().catch(() => this.parts.disks?.abandon().catch(() => undefined));
        throw error;
      }
      throw await this.recover(error, signal);
    }
  }

  /** What people should know where the sink has no room for an increment: what it would bring must come while the guest runs. */
  private async crowded(sink: PageSink): Promise<string | undefined> {
    if (this.session === undefined || this.session.full) return undefined;
    const expected = this.outlook.expectedPages(nowMs());
    return (await hasRoom(sink, expected, totalPages(this.info.regions)))
      ? undefined
      : readWhileRunning(expected);
  }

  /**
   * Asks, QEMU itself at last: the event of a stop, or of a resumption, that its operator knows of may still be on its way
   * to us.
   */
  private async checkRuns(signal: AbortSignal): Promise<void> {
    this.parts.pauses.watch();
    // Its capture has begun: it stands as it stood when that was asked.
    if (this.parts.standing && this.session !== undefined) return;
    const why = (await this.beside.runs(signal)) ? undefined : await this.standing({ signal });
    if (why !== undefined) throw why;
  }

  private async goOnWithoutColo(captured: Captured): Promise<Captured> {
    const { qmp } = this.parts;
    this.colo = false;
    const capabilities = await qmp.execute<{ capability: string; state: boolean }[]>(
      'query-migrate-capabilities',
    );
    await setCapabilities(qmp, capabilities, ['events']);
    return { ...captured, notes: [...captured.notes, neverBegan(this.info.hypervisor.replace('qemu ', ''))] };
  }

  /** A session whose next capture is what is wanted: the one there is, or a new one, which begins full. */
  private async ready(full: boolean, signal: AbortSignal): Promise<Session> {
    if (this.session !== undefined && (!full || this.session.full)) return this.session;
    await this.session?.end();
    this.session = undefined;
    const { colo } = this;
    const session = await Session.start(
      { ...this.parts, colo, returnPath: (colo || this.parts.endsAtColo) && this.parts.returnPath },
      signal,
    );
    if (!sameLayout(session.announced, this.info)) {
      await session.end();
      throw new FitdocError(
        'CAPTURE_FAILED',
        "The machine's RAM blocks are not those it had at the attach.",
        {
          hint: 'Memory was plugged or unplugged: detach and attach anew.',
        },
      );
    }
    return (this.session = session);
  }

  /** Ends a session that failed, as file systems can be thawed in a guest that runs, and in no other. */
  private async letRun(error: unknown): Promise<never> {
    const { session } = this;
    if (session === undefined || (isFitdocError(error, 'MACHINE_NOT_RUNNING') && !session.full)) throw error;
    this.session = undefined;
    const failed = await session.end().catch((second: unknown) => second);
    throw isFitdocError(failed, 'MACHINE_PAUSED') ? failed : error;
  }

  /**
   * After a failure QEMU may have forgotten pages that never reached the sink: the session ends, the guest
   * is made to run, and the next capture is a full one.
   */
  private async recover(error: unknown, signal: AbortSignal): Promise<unknown> {
    const session = this.session;
    if (session === undefined && isFitdocError(error, 'MACHINE_PAUSED')) return error;
    // A request that QEMU has not been answered yet costs nothing: everything is still dirty.
    this.session = undefined;
    try {
      await session?.end();
      // The guest runs again: what stands before its disks is taken away, whatever was done of it.
      await this.parts.disks?.abandon();
    } catch (second) {
      if (isFitdocError(second, 'MACHINE_PAUSED')) return second;
    }
    if (this.gone.aborted) return this.gone.reason;
    if (signal.aborted) return abortError(signal);
    if (isFitdocError(error, 'CAPTURE_FAILED')) return this.withReason(error);
    if (isFitdocError(error)) return error;
    return new FitdocError('CAPTURE_FAILED', 'The capture failed.', {
      cause: error,
      hint: 'The guest runs on; the next capture is a full one.',
      retryable: true,
    });
  }

  /** Adds what QEMU itself says of a migration that failed. */
  private async withReason(error: FitdocError): Promise<FitdocError> {
    const { errorText } = await migrationState(this.parts.qmp).catch(() => ({ errorText: undefined }));
    if (errorText === undefined) return error;
    const { cause, hint, retryable, details } = error;
    return new FitdocError('CAPTURE_FAILED', `${error.message} QEMU says: ${errorText}`, {
      ...(hint === undefined ? {} : { hint }),
      ...{ cause, retryable, details: { ...details, qemu: errorText } },
    });
  }

  private harvest(captured: Captured): Harvest {
    let settled = false;
    // All pages reached the sink, which keeps them: there is nothing to forget and nothing to redeliver.
    const { disks } = this.parts;
    const settle = (durable: boolean) => async (): Promise<void> => {
      if (settled) return;
      settled = true;
      try {
        await disks?.settle(durable);
      } catch (error) {
        if (!this.gone.aborted) await disks?.abandon().catch(() => undefined);
        if (!durable) throw error;
        // The checkpoint is stored, whatever became of what QEMU still had of it: the next one tells.
        this.untold = [notLetGo(error)];
      } finally {
        this.owed = false;
      }
    };
    const brought = disks && { disks: disks.harvest() };
    const notes = [...captured.notes, ...(disks?.notes ?? []), ...this.untold];
    this.untold = [];
    return { ...captured, notes, ...brought, commit: settle(true), rollback: settle(false) };
  }

  private async leave(): Promise<Released> {
    this.busy?.abort(detached());
    await this.running;
    const { qmp, attached, pauses, reader } = this.parts;
    let released: Released = {};
    // What could not be put back the guard sees to.
    let left: string | undefined;
    try {
      released = (await this.session?.end()) ?? {};
      await this.parts.disks?.end();
      if (qmp.closed.aborted || released.pending !== undefined) return released;
      released = { ...(await release(qmp, { keepStopped: this.parts.standing })), ...released };
      if (released.pending === undefined) await attached.restore();
    } catch (error) {
      if (this.gone.aborted) return released;
      left = 'the detach failed';
      throw error;
    } finally {
      this.session = undefined;
      pauses.close();
      attached.end(released.pending ?? left);
      qmp.close();
      await reader.close();
    }
    return released;
  }

  private async abandon(): Promise<void> {
    await this.running;
    await this.session?.end().catch(() => undefined);
    this.session = undefined;
    this.parts.pauses.close();
    this.parts.attached.end();
    await this.parts.reader.close();
  }
}

/**
 * Whether a budget asks for a full capture: what COLO has to send only grows with waiting, whereas a full capture sends
 * while the guest runs, until QEMU finds little enough left.
 */
function isOver(budget: PauseBudget | undefined, expectedMs: number | undefined): boolean {
  return budget !== undefined && expectedMs !== undefined && expectedMs > budget.maxMs;
}

async function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(abortError(signal));
    else signal.addEventListener('abort', () => reject(abortError(signal)), { once: true });
  });
}
