import { abortError, FitdocError, withLinkedSignal } from '@fitdoc/interface';
import { notRunning } from '../machine/run-state.js';
import type { QmpClient } from '../qmp/client.js';

/** What makes a guest stand without us, by the event that tells of it. */
const OTHERS: Readonly<Record<string, string>> = {
  SHUTDOWN: 'shutdown',
  SUSPEND: 'suspended',
  GUEST_PANICKED: 'guest-panicked',
};

/** Run states of a guest that nobody but a migration stopped. */
const OURS = new Set(['running', 'finish-migrate', 'postmigrate', 'colo']);

/** A migration's end, as QEMU's events tell of it. */
export interface Completion {
  /** Settles when QEMU has completed a migration without beginning COLO, and in no other way. */
  readonly seen: Promise<void>;
  /** Rejects with CAPTURE_FAILED when the migration was cancelled or has failed before COLO began. */
  readonly failed: Promise<never>;
  /** No longer waits for either. */
  end(): void;
}

/**
 * Waits for the end of the next migration by QEMU's events, which the capability `events` turns on: call it before
 * `migrate`. COLO that has begun and that somebody then cancelled ends as `completed` as well: that is not this. One
 * that is cancelled when its last byte is out resumes the guest by itself, before anybody waits for that.
 */
export function completed(qmp: QmpClient): Completion {
  let end = (): void => undefined;
  let fail: (error: FitdocError) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  // Nobody may be waiting for it yet, or ever.
  failed.catch(() => undefined);
  const seen = new Promise<void>((resolve) => {
    let begun = false;
    end = qmp.onEvent(({ name, data }) => {
      if (name !== 'MIGRATION') return;
      const { status } = data;
      // Of the migration before this one there may still be word on its way.
      begun ||= status === 'setup';
      if (!begun) return;
      if (status === 'colo' || status === 'completed') end();
      if (status === 'completed') resolve();
      else if (status === 'cancelled' || status === 'failed') fail(notCompleted(status));
    });
  });
  return { seen, failed, end };
}

/** CAPTURE_FAILED for a migration that is `cancelled` or has `failed`. */
export function notCompleted(status: string): FitdocError {
  return new FitdocError('CAPTURE_FAILED', `QEMU's migration to fitdoc was not completed: it is ${status}.`, {
    hint: 'Somebody may have cancelled it. The guest runs on; the next capture starts over with a full one.',
    retryable: true,
  });
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly endsColo: boolean;
}

/**
 * Follows a guest's stops and resumptions through QEMU's events, which carry QEMU's own time; and sees to it that
 * a resumption by QEMU undoes nobody else's stop for longer than it takes to say `stop` again.
 */
export class PauseWatch {
  stoppedAtMs = 0;
  resumedAtMs = 0;
  private waiting: Waiting[] = [];
  private readonly remove: () => void;
  /** What somebody else made of the guest since QEMU was asked whether it runs. */
  private foreign: string | undefined;
  private stopped = 0;
  private onStop: (() => void) | undefined;
  /** Why COLO has ended since `begin`. */
  private ended: string | undefined;
  private asking = false;
  private repliedAtMs = Number.POSITIVE_INFINITY;
  private held: string | undefined;

  constructor(private readonly qmp: QmpClient) {
    this.remove = qmp.onEvent(({ name, atMs, data }) => {
      const other = OTHERS[name];
      if (name === 'STOP') this.hasStopped(atMs);
      else if (name === 'RESUME') this.hasResumed(atMs);
      else if (name === 'COLO_EXIT')
        this.coloEnded(data['reason'] === 'request' ? 'on request' : 'after an error');
      // A guest that is to be reset reports a shutdown that stops nothing.
      else if (other !== undefined && data['action'] !== 'run') this.foreign ??= other;
    });
  }

  /** Call it before a migration begins: what ended an earlier one says nothing of it. */
  begin(): void {
    this.ended = undefined;
  }

  /** From here on, what makes the guest stand is remembered: call it before QEMU is asked whether the guest runs. */
  watch(): void {
    this.foreign = undefined;
    this.stopped = 0;
    this.repliedAtMs = Number.POSITIVE_INFINITY;
    this.asking = true;
  }

  /**
   * Call it right before QEMU is let into the pause, which ends with the guest running: MACHINE_NOT_RUNNING when
   * somebody has stopped the guest since `watch`.
   */
  enter(nowMs: number): void {
    if (this.foreign === undefined && this.stopped > 0) this.foreign = 'paused';
    if (this.foreign !== undefined) throw notRunning(this.foreign);
    this.repliedAtMs = nowMs;
  }

  /**
   * Call it after the pause: what had stopped the guest beside us, and was undone by QEMU's resumption until
   * `stop` was sent again.
   */
  undone(): string | undefined {
    const found = this.foreign;
    this.foreign = undefined;
    this.asking = false;
    this.held = found ?? this.held;
    return found;
  }

  /**
   * What a guest stands for that QEMU calls `status`: `paused` is all that our `stop` can bring back of a power-off or
   * a suspension that QEMU's resumption undid.
   */
  nameOf(status: string): string {
    return status === 'paused' ? (this.held ?? status) : status;
  }

  /**
   * Rejects with MACHINE_NOT_RUNNING as soon as something other than a migration has stopped the guest; settles in no
   * other way before the signal.
   */
  async stoppedByOthers(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      const look = async (): Promise<void> => {
        const { status } = await this.qmp.execute<{ status: string }>('query-status', {}, { signal });
        if (!OURS.has(status)) reject(notRunning(status));
      };
      const remove = this.qmp.onEvent(({ name }) => {
        if (name === 'STOP' || name in OTHERS) look().catch(() => undefined);
      });
      signal.addEventListener('abort', remove, { once: true });
    });
  }

  /**
   * Waits for the next RESUME from now on; rejects on abort, when QEMU is gone, and with CAPTURE_FAILED when QEMU has
   * ended COLO since `begin`, or does: the guest then stands until QEMU is told what to make of it. `endsColo`: that is
   * ours to do, and to tell it.
   */
  async resumed(signal: AbortSignal, endsColo = false): Promise<void> {
    return withLinkedSignal(
      [signal, this.qmp.closed],
      async (any) =>
        new Promise((resolve, reject) => {
          const onAbort = (): void => reject(abortError(any));
          if (any.aborted) return onAbort();
          any.addEventListener('abort', onAbort, { once: true });
          this.waiting.push({ resolve, reject, endsColo });
          if (this.ended !== undefined) this.coloEnded(this.ended);
        }),
    );
  }

  /** Settles at the next STOP from now on, whoever stops the guest, and in no other way. One at a time may wait. */
  async stops(): Promise<void> {
    return new Promise((resolve) => (this.onStop = resolve));
  }

  /**
   * Call it when a checkpoint is read and its pause over: whether the guest stood, without a break, from the first stop
   * since `enter` until QEMU resumed it. It did not when somebody stopped it before QEMU did, and let it run again.
   */
  async unbroken(signal: AbortSignal): Promise<boolean> {
    // The events of all that QEMU has done come before the answer.
    const { running, status } = await this.qmp.execute<{ running: boolean; status: string }>(
      'query-status',
      {},
      { signal },
    );
    // A second stop is of no matter that came after the pause: it lasts.
    return this.stopped < 2 || (this.stopped === 2 && !running && status !== 'colo');
  }

  close(): void {
    this.remove();
  }

  private hasStopped(atMs: number): void {
    this.stoppedAtMs = atMs;
    this.stopped++;
    this.onStop?.();
    // QEMU's own stop is the first after our answer. COLO tells of no second one when it finds the guest stopped.
    if (this.repliedAtMs !== Number.POSITIVE_INFINITY && (atMs < this.repliedAtMs || this.stopped > 1))
      this.foreign ??= 'paused';
  }

  private coloEnded(how: string): void {
    this.ended = how;
    for (const { reject, endsColo } of this.waiting) if (!endsColo) reject(coloEnded(how));
    this.waiting = this.waiting.filter(({ endsColo }) => endsColo);
  }

  private hasResumed(atMs: number): void {
    this.resumedAtMs = atMs;
    this.held = undefined;
    // At once: each step in between is time in which the guest runs against its operator's will.
    if (this.asking && this.foreign !== undefined && this.repliedAtMs !== Number.POSITIVE_INFINITY)
      void this.qmp.execute('stop').catch(() => undefined);
    // What comes from here on is not undone any more.
    this.repliedAtMs = Number.POSITIVE_INFINITY;
    for (const { resolve } of this.waiting.splice(0)) resolve();
  }
}

function coloEnded(reason: string): FitdocError {
  return new FitdocError('CAPTURE_FAILED', `QEMU ended COLO while the guest stood (${reason}).`, {
    hint: 'Somebody may have cancelled the migration. The guest runs on; the next capture starts over with a full one.',
    retryable: true,
  });
}
