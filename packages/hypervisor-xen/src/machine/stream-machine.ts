import {
  DirtyForecast,
  FitdocError,
  totalPages,
  type CaptureOptions,
  type Harvest,
  type Machine,
  type MachineInfo,
  type MachineSupports,
  type PageSink,
} from '@fitdoc/interface';
import type { HostShell } from '../host/shell.js';
import { hasEnded } from '../host/xl.js';
import { PfnSpace } from '../memory/pfn-space.js';
import { StreamSession } from '../session/session.js';
import { CaptureGate } from './gate.js';
import { goneBy } from '../host/states.js';

export interface StreamMachineOptions {
  readonly mode: 'remus' | 'save';
  readonly domain: string;
  readonly info: MachineInfo;
  readonly limits: readonly string[];
  readonly intervalMs: number;
  readonly pauseLimitSeconds: number;
  readonly holdPages?: number;
  /** Resumes the suspended domain, where this process can. */
  readonly rescue?: () => Promise<void>;
}

/** Beyond the pages that are expected: a guest may write more than it did. */
const SPARE_PAGES = 512;
const CROWDED =
  'there was no memory for what the pause would have brought: the stream was started anew, and all pages were taken while the guest ran';

/** A domain captured by the toolstack's own streams: Remus checkpoints, or a whole save each time. */
export class StreamMachine implements Machine {
  readonly info: MachineInfo;
  readonly supports: MachineSupports;
  readonly #shell: HostShell;
  readonly #options: StreamMachineOptions;
  readonly #gate = new CaptureGate();
  readonly #forecast = new DirtyForecast();
  #session: StreamSession | undefined;

  constructor(shell: HostShell, options: StreamMachineOptions) {
    this.#shell = shell;
    this.#options = options;
    this.info = options.info;
    this.supports = Object.freeze({
      increments: options.mode === 'remus',
      onDemand: true,
      limits: Object.freeze([...options.limits]),
    });
  }

  get gone(): AbortSignal {
    return this.#gate.gone;
  }

  async capture(sink: PageSink, options: CaptureOptions = {}): Promise<Harvest> {
    return await this.#gate.capture(options, (signal) => this.#capture(sink, options.full === true, signal));
  }

  async detach(): Promise<void> {
    await this.#gate.close();
    await this.#end();
  }

  async #capture(sink: PageSink, full: boolean, signal: AbortSignal) {
    const { mode } = this.#options;
    const notes: string[] = [];
    const crowded = !full && (await this.#crowded(sink));
    if (crowded) notes.push(CROWDED);
    if (this.#session && (full || crowded || mode === 'save' || this.#session.over)) {
      const broken = mode === 'remus' && this.#session.over;
      if (broken && !full) notes.push('the stream had ended and was started anew: all pages were taken');
      await this.#end();
      if (broken && (await this.#lookGone())) throw this.gone.reason;
    }
    const fresh = this.#session === undefined;
    const session = (this.#session ??= this.#open());
    try {
      const times = await session.capture(sink, signal);
      if (mode === 'save') await session.ended;
      this.#forecast.learn(times.capturedAtMs, fresh ? undefined : session.collector.placedPages);
      return {
        kind: fresh ? ('full' as const) : ('increment' as const),
        pauseMs: times.pauseMs,
        pausePhases: { stream: times.pauseMs, wait: times.waitMs },
        capturedAtMs: times.capturedAtMs,
        deviceState: session.collector.state.deviceState(),
        notes,
      };
    } catch (error) {
      await this.#end();
      if (await this.#lookGone()) throw this.gone.reason;
      throw error;
    }
  }

  /** Whether the sink has no room for what the next checkpoint brings, all of it in the guest's pause. */
  async #crowded(sink: PageSink): Promise<boolean> {
    if (this.#options.mode === 'save' || !this.#session || this.#session.over || !sink.prepare) return false;
    const expected = this.#forecast.estimate(Date.now()) ?? 0;
    const pages = Math.ceil(expected * 1.25) + SPARE_PAGES;
    return !(await sink.prepare(Math.min(totalPages(this.info.regions), pages)));
  }

  #open(): StreamSession {
    const { info, ...options } = this.#options;
    const session = new StreamSession(this.#shell, { ...options, space: new PfnSpace(info.regions) });
    // The host ends a session whose guest ended, also between two captures.
    void session.ended.then(() => this.#session === session && this.#lookGone());
    return session;
  }

  async #end(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (!session) return;
    await session.end();
    if (session.leftSuspended) await this.#rescue();
  }

  // xl itself was killed in a pause: nobody else resumes the guest.
  async #rescue(cause?: unknown): Promise<void> {
    const { rescue, domain } = this.#options;
    try {
      if (!rescue) throw cause;
      await rescue();
    } catch (reason) {
      throw new FitdocError('MACHINE_PAUSED', `The guest ${domain} is suspended, and xl is gone.`, {
        cause: reason,
        hint:
          `Resume it in dom0: attach to xen:${domain} there with config.resume set to true and Xen's libraries ` +
          'installed, or `xl destroy` it and restore the latest checkpoint.',
      });
    }
  }

  async #lookGone(): Promise<boolean> {
    const ended = await hasEnded(this.#shell, this.#options.domain).catch(() => false);
    if (ended) this.#gate.markGone(goneBy(this.info.name, undefined));
    return this.gone.aborted;
  }
}
