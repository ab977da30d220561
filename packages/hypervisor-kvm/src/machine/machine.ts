import {
  abortError,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  totalPages,
  type CallOptions,
  type CaptureOptions,
  type Harvest,
  type Machine,
  type MachineInfo,
  type MachineSupports,
  type PageSink,
} from '@fitdoc/interface';
import type { KvmConfig } from '../config.js';
import type { QmpClient } from '../qmp/client.js';
import type { PauseWatch } from '../session/pause.js';
import { release } from '../session/release.js';
import { Session, type Captured } from '../session/session.js';
import { restoreSettings, type MigrationSettings } from '../session/settings.js';
import type { StreamHeader } from '../stream/sections.js';

/** What an attachment is made of. */
export interface Attachment {
  readonly qmp: QmpClient;
  readonly pauses: PauseWatch;
  readonly config: KvmConfig;
  readonly colo: boolean;
  readonly settings: MigrationSettings;
  /** Ends the guard's watch over this machine. */
  readonly unguard: () => void;
}

/** A QEMU guest that fitdoc is attached to. */
export class KvmMachine implements Machine {
  readonly gone: AbortSignal;
  private busy: AbortController | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private owed = false;
  private session: Session | undefined;
  private detaching: Promise<void> | undefined;

  constructor(
    readonly info: MachineInfo,
    readonly supports: MachineSupports,
    private readonly parts: Attachment,
  ) {
    this.gone = parts.qmp.closed;
    this.gone.addEventListener('abort', () => void this.abandon(), { once: true });
  }

  async capture(sink: PageSink, options: CaptureOptions = {}): Promise<Harvest> {
    throwIfAborted(options.signal);
    throwIfAborted(this.gone);
    if (this.detaching !== undefined) throw detached();
    if (this.busy !== undefined || this.owed) throw occupied(this.busy !== undefined);
    const busy = new AbortController();
    this.busy = busy;
    const signals = [busy.signal, this.gone, ...(options.signal === undefined ? [] : [options.signal])];
    const call = this.attempt(sink, options, AbortSignal.any(signals));
    this.running = call.catch(() => undefined);
    try {
      const captured = await call;
      this.owed = true;
      return this.harvest(captured);
    } finally {
      this.busy = undefined;
    }
  }

  async detach(options: CallOptions = {}): Promise<void> {
    this.detaching ??= this.leave();
    const { signal } = options;
    if (signal === undefined) return this.detaching;
    await Promise.race([this.detaching, aborted(signal)]);
  }

  private async attempt(sink: PageSink, options: CaptureOptions, signal: AbortSignal): Promise<Captured> {
    const { onProgress } = options;
    const total = totalPages(this.info.regions);
    await this.checkRuns(signal);
    try {
      const session = await this.ready(options.full ?? false, signal);
      const captured = await session.capture(sink, signal, (done) =>
        onProgress?.({ phase: 'reading pages', done, unit: 'pages', ...(session.full ? { total } : {}) }),
      );
      if (!this.parts.colo) this.session = undefined;
      return captured;
    } catch (error) {
      throw await this.recover(error, signal);
    }
  }

  /** Asks QEMU: the event of a stop, or of a resumption, that its operator knows of may still be on its way to us. */
  private async checkRuns(signal: AbortSignal): Promise<void> {
    const { running } = await this.parts.qmp.execute<{ running: boolean }>('query-status', {}, { signal });
    if (!running) throw paused();
  }

  /** A session whose next capture is what is wanted: the one there is, or a new one, which begins full. */
  private async ready(full: boolean, signal: AbortSignal): Promise<Session> {
    const { qmp, pauses, config, colo } = this.parts;
    if (this.session !== undefined && (!full || this.session.full)) return this.session;
    await this.session?.end();
    this.session = undefined;
    const session = await Session.start(qmp, pauses, config, colo, signal);
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

  /**
   * After a failure QEMU may have forgotten pages that never reached the sink: the session ends, the guest
   * is made to run, and the next capture is a full one.
   */
  private async recover(error: unknown, signal: AbortSignal): Promise<unknown> {
    const session = this.session;
    // A request that QEMU has not been answered yet costs nothing: everything is still dirty.
    this.session = undefined;
    try {
      await session?.end();
    } catch (second) {
      if (isFitdocError(second, 'MACHINE_PAUSED')) return second;
    }
    if (this.gone.aborted) return this.gone.reason;
    if (signal.aborted) return abortError(signal);
    if (isFitdocError(error)) return error;
    return new FitdocError('CAPTURE_FAILED', 'The capture failed.', {
      cause: error,
      hint: 'The guest runs on; the next capture is a full one.',
      retryable: true,
    });
  }

  private harvest(captured: Captured): Harvest {
    let settled = false;
    // All pages reached the sink, which keeps them: there is nothing to forget and nothing to redeliver.
    const settle = async (): Promise<void> => {
      if (!settled) this.owed = false;
      settled = true;
    };
    return { ...captured, commit: settle, rollback: settle };
  }

  private async leave(): Promise<void> {
    this.busy?.abort(detached());
    await this.running;
    const { qmp, settings, unguard, pauses } = this.parts;
    try {
      await this.session?.end();
      if (!qmp.closed.aborted) {
        await release(qmp);
        await restoreSettings(qmp, settings);
      }
    } catch (error) {
      if (!this.gone.aborted) throw error;
    } finally {
      this.session = undefined;
      pauses.close();
      unguard();
      qmp.close();
    }
  }

  private async abandon(): Promise<void> {
    await this.running;
    await this.session?.end().catch(() => undefined);
    this.session = undefined;
    this.parts.pauses.close();
    this.parts.unguard();
  }
}

function sameLayout(header: StreamHeader, { regions }: MachineInfo): boolean {
  const { blocks } = header;
  return (
    blocks.length === regions.length &&
    blocks.every(
      ({ name, firstGfn }, index) => regions[index]!.name === name && regions[index]!.firstGfn === firstGfn,
    ) &&
    blocks.reduce((sum, { size }) => sum + size, 0) === totalPages(regions) * 4096
  );
}

async function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(abortError(signal));
    else signal.addEventListener('abort', () => reject(abortError(signal)), { once: true });
  });
}

function detached(): FitdocError {
  return new FitdocError('ABORTED', 'The machine was detached.', { hint: 'Attach again to go on.' });
}

function occupied(capturing: boolean): FitdocError {
  const why = capturing
    ? 'A capture is under way.'
    : 'The last harvest was neither committed nor rolled back.';
  return new FitdocError('MACHINE_BUSY', why, {
    hint: 'Let one capture end, and settle its harvest, before the next.',
    retryable: true,
  });
}

function paused(): FitdocError {
  return new FitdocError(
    'MACHINE_PAUSED',
    'The guest was paused by its operator; a checkpoint would resume it.',
    {
      hint: 'Send "cont" to QEMU, or wait until its operator does.',
      retryable: true,
    },
  );
}
