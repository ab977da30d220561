import { setTimeout as sleep } from 'node:timers/promises';
import {
  FitdocError,
  throwIfAborted,
  type DeviceState,
  type PageSink,
  type PausePhases,
} from '@fitdoc/interface';
import type { KvmConfig } from '../config.js';
import { CONFIGURATION_STATE, DEVICES_STATE } from '../machine/state-names.js';
import type { QmpClient } from '../qmp/client.js';
import { readCheckpoint, readRequest, type CheckpointTimes } from '../stream/checkpoint.js';
import { COLO_LOADED, COLO_READY, COLO_RECEIVED, COLO_REPLY } from '../stream/layout.js';
import { readPrecopy } from '../stream/precopy.js';
import { SectionReader, type StreamHeader } from '../stream/sections.js';
import { StreamChannel } from './channel.js';
import type { PauseWatch } from './pause.js';
import { isMigrating, migrationState, release } from './release.js';

/** What one capture brought, apart from the pages. */
export interface Captured {
  readonly kind: 'full' | 'increment';
  readonly deviceState: readonly DeviceState[];
  readonly pauseMs: number;
  readonly pausePhases: PausePhases;
  readonly capturedAtMs: number;
  readonly notes: readonly string[];
}

/** One migration out of QEMU to us: a full capture, then, with COLO, increments until it ends. */
export class Session {
  private readonly sections: SectionReader;
  private stage: 'precopy' | 'checkpoints' | 'over' = 'precopy';

  private constructor(
    private readonly qmp: QmpClient,
    private readonly pauses: PauseWatch,
    private readonly channel: StreamChannel,
    private readonly config: KvmConfig,
    private readonly colo: boolean,
    private header: StreamHeader | undefined,
  ) {
    this.sections = new SectionReader(channel.queue);
  }

  /**
   * Starts the migration and reads its header. The first capture reads the rest; until then QEMU waits, and
   * the guest runs. Requires that capabilities and parameters are set.
   */
  static async start(
    qmp: QmpClient,
    pauses: PauseWatch,
    config: KvmConfig,
    colo: boolean,
    signal: AbortSignal,
  ): Promise<Session> {
    const channel = await StreamChannel.listen(config.socketDirectory);
    const session = new Session(qmp, pauses, channel, config, colo, undefined);
    try {
      await qmp.execute('migrate', { uri: `unix:${channel.path}` }, { signal });
      await session.connected(signal);
      session.header = await channel.run(session.sections.readHeader(), signal);
      return session;
    } catch (error) {
      await session.end();
      throw error;
    }
  }

  /** The versioned machine type, configuration and RAM blocks that the stream announced. */
  get announced(): StreamHeader {
    return this.header!;
  }

  /** Whether the next capture of this session brings every page. */
  get full(): boolean {
    return this.stage === 'precopy';
  }

  /** Takes one capture. After a failure the session is over, and the guest may need `end` to run. */
  async capture(sink: PageSink, signal: AbortSignal, onPages: (done: number) => void): Promise<Captured> {
    const counted = counting(sink, onPages);
    return this.full ? this.precopy(counted, signal) : this.checkpoint(counted, signal);
  }

  /** Ends the migration, whatever its state, and sees to it that the guest runs. */
  async end(): Promise<void> {
    this.stage = 'over';
    const close = (): Promise<void> => this.channel.close();
    if (this.qmp.closed.aborted) await close();
    else await release(this.qmp, { close });
  }

  private async precopy(sink: PageSink, signal: AbortSignal): Promise<Captured> {
    const converging = new AbortController();
    const patience = this.loosen(converging.signal);
    const devices = await this.channel
      .run(readPrecopy(this.channel.queue, this.sections, sink), signal)
      .finally(() => converging.abort());
    const notes = await patience;
    const resumed = this.pauses.resumed(
      AbortSignal.any([signal, AbortSignal.timeout(this.config.timeoutMs)]),
    );
    // Handled below; without this an earlier failure would leave its rejection unobserved.
    resumed.catch(() => undefined);
    if (this.colo) this.channel.send([COLO_READY]);
    else await this.completed(signal);
    await this.awaitResume(resumed, signal);
    this.stage = this.colo ? 'checkpoints' : 'over';
    if (!this.colo) await this.channel.close();
    return this.captured('full', devices, {}, notes);
  }

  private async checkpoint(sink: PageSink, signal: AbortSignal): Promise<Captured> {
    const { channel, pauses, config } = this;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(config.timeoutMs)]);
    await this.timed(
      channel.run(readRequest(channel.queue), patience),
      signal,
      'QEMU asked for no checkpoint',
    );
    const resumed = pauses.resumed(patience);
    resumed.catch(() => undefined);
    channel.allow(config.drainBytes);
    // The answers to what QEMU has yet to send: it then resumes the guest as soon as it has written it all.
    channel.send([COLO_REPLY, COLO_RECEIVED, COLO_LOADED]);
    const drained = new AbortController();
    const full = channel.full(drained.signal).catch(() => undefined);
    await Promise.race([resumed.catch(() => undefined), full]);
    drained.abort();
    const times: CheckpointTimes = { begun: 0, memory: 0, devices: 0 };
    const devices = await channel.run(readCheckpoint(channel.queue, this.sections, sink, times), signal);
    await this.awaitResume(resumed, signal);
    channel.allow(0);
    return this.captured('increment', devices, phases(pauses, times), []);
  }

  private captured(
    kind: Captured['kind'],
    devices: Uint8Array,
    steps: PausePhases,
    notes: string[],
  ): Captured {
    const { stoppedAtMs, resumedAtMs } = this.pauses;
    return {
      kind,
      notes,
      deviceState: [
        { name: CONFIGURATION_STATE, bytes: this.announced.configuration },
        { name: DEVICES_STATE, bytes: devices },
      ],
      pauseMs: Math.max(0, resumedAtMs - stoppedAtMs),
      pausePhases: steps,
      capturedAtMs: Math.floor(stoppedAtMs),
    };
  }

  private async awaitResume(resumed: Promise<void>, signal: AbortSignal): Promise<void> {
    await this.timed(resumed, signal, 'QEMU did not resume the guest');
  }

  /** Turns the end of our own patience into an error of its own; an abort by the caller stays one. */
  private async timed(call: Promise<void>, signal: AbortSignal, what: string): Promise<void> {
    await call.catch((error: unknown) => {
      throwIfAborted(signal);
      throwIfAborted(this.qmp.closed);
      if (!(error instanceof FitdocError) || error.code !== 'ABORTED') throw error;
      throw new FitdocError('CAPTURE_FAILED', `${what} within ${this.config.timeoutMs} ms.`, {
        cause: error,
        hint: 'The host may be overloaded; raise timeoutMs. The next capture starts over with a full one.',
        retryable: true,
      });
    });
  }

  /** Waits for an ordinary migration's end and starts the guest again, which QEMU takes for moved away. */
  private async completed(signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + this.config.timeoutMs;
    while (isMigrating(await migrationState(this.qmp, signal)) && Date.now() < deadline) await sleep(1);
    await release(this.qmp);
  }

  private async connected(signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + this.config.timeoutMs;
    while (!this.channel.connected) {
      throwIfAborted(signal);
      const state = await migrationState(this.qmp, signal);
      if (!isMigrating(state) || Date.now() > deadline) {
        if (this.channel.connected) return;
        throw new FitdocError(
          'CAPABILITY_MISSING',
          `QEMU cannot migrate this guest: ${state.errorText ?? 'no reason given'}`,
          {
            hint: `QEMU's user must reach ${this.channel.path} (setting socketDirectory), and no device may block migration.`,
          },
        );
      }
      await sleep(5);
    }
  }

  /** Allows ever longer last rounds to a guest that writes faster than the stream flows. */
  private async loosen(done: AbortSignal): Promise<string[]> {
    const notes: string[] = [];
    let limit = this.config.downtimeLimitMs;
    let rounds = 0;
    while (!done.aborted) {
      await sleep(1000, undefined, { signal: done }).catch(() => undefined);
      if (done.aborted || this.qmp.closed.aborted) break;
      const { ram } = await this.qmp
        .execute<{ ram?: { 'dirty-sync-count'?: number } }>('query-migrate')
        .catch(() => ({ ram: undefined }));
      const now = ram?.['dirty-sync-count'] ?? 0;
      if (now < rounds + 8) continue;
      rounds = now;
      limit = Math.min(limit * 2, 60_000);
      await this.qmp.execute('migrate-set-parameters', { 'downtime-limit': limit }).catch(() => undefined);
      notes.push(
        `The guest writes faster than its memory could be read: the last round may take ${limit} ms.`,
      );
    }
    return notes.slice(-1);
  }
}

/**
 * Milliseconds from the stop to the first byte, to the end of memory, of the devices, and to the resumption,
 * by when the bytes reached us; what came after the resumption belongs to no step.
 */
function phases({ stoppedAtMs, resumedAtMs }: PauseWatch, times: CheckpointTimes): PausePhases {
  const step = (from: number, to: number): number => Math.max(0, Math.min(to, resumedAtMs) - from);
  return {
    stop: step(stoppedAtMs, times.begun),
    memory: step(times.begun, times.memory),
    devices: step(times.memory, times.devices),
    resume: step(times.devices, resumedAtMs),
  };
}

function counting(sink: PageSink, onPages: (done: number) => void): PageSink {
  let done = 0;
  let told = 0;
  const count = (pages: number): void => {
    done += pages;
    if (done - told < 1024) return;
    told = done;
    onPages(done);
  };
  return {
    reserve: (pages) => sink.reserve(pages),
    place: (gfn, pages) => {
      count(1);
      return sink.place(gfn, pages);
    },
    zero: (gfn, pages) => {
      count(pages);
      sink.zero(gfn, pages);
    },
  };
}
