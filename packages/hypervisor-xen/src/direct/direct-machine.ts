import { performance } from 'node:perf_hooks';
import {
  FitdocError,
  PAGE_SIZE,
  throwIfAborted,
  type CaptureOptions,
  type Harvest,
  type Machine,
  type MachineInfo,
  type MachineSupports,
  type PageSink,
} from '@fitdoc/interface';
import { DirtyBitmap } from '@fitdoc/bitmap';
import { changeConfig } from '../memory/guest-config.js';
import { PfnSpace } from '../memory/pfn-space.js';
import { CaptureGate } from '../machine/gate.js';
import { GUEST_HVM } from '../stream/headers.js';
import { PAGE_TYPE } from '../stream/layout.js';
import { StreamState } from '../stream/stream-state.js';
import type { DomainControl, HypercallBitmap } from './control.js';
import type { DomainGuard } from './guard-client.js';
import { PageCopier } from './pages.js';
import { suspendGuest } from './suspend.js';
import { staticRecords, vcpuRecords } from './vcpu-state.js';

const GONE_LOOK_MS = 2000;

export interface DirectMachineOptions {
  readonly control: DomainControl;
  readonly guard: DomainGuard;
  readonly info: MachineInfo;
  readonly configText: string;
  readonly xen: { readonly major: number; readonly minor: number };
  readonly suspendTimeoutMs: number;
  readonly limits: readonly string[];
  release(): void;
}

interface DirtyLog {
  /** Where the hypervisor writes. */
  readonly harvested: HypercallBitmap;
  readonly fresh: DirtyBitmap;
  /** Pages that left the hypervisor's log and are in no sink yet. */
  readonly owed: DirtyBitmap;
  /** Whether a first capture has succeeded: from then on the log tells all that changed. */
  started: boolean;
}

/** A PVH domain of this host, captured through Xen's own dirty log: only dirty pages are mapped and copied. */
export class DirectMachine implements Machine {
  readonly info: MachineInfo;
  readonly supports: MachineSupports;
  readonly #options: DirectMachineOptions;
  readonly #control: DomainControl;
  readonly #gate = new CaptureGate();
  readonly #state = new StreamState();
  readonly #copier: PageCopier;
  readonly #timer: NodeJS.Timeout;
  #log: DirtyLog | undefined;
  #closed = false;

  constructor(options: DirectMachineOptions) {
    this.#options = options;
    this.#control = options.control;
    this.info = options.info;
    this.supports = Object.freeze({
      increments: true,
      onDemand: true,
      limits: Object.freeze([...options.limits]),
    });
    this.#state.xl = { mandatoryFlags: 3, optionalFlags: 0, config: options.configText };
    this.#state.image = { guestType: GUEST_HVM, xenMajor: options.xen.major, xenMinor: options.xen.minor };
    this.#copier = new PageCopier(this.#control, new PfnSpace(this.info.regions), this.#state);
    for (const { type, body } of staticRecords(this.#control)) this.#state.record('libxc', type, body);
    this.#timer = setInterval(() => this.#look(), GONE_LOOK_MS).unref();
  }

  get gone(): AbortSignal {
    return this.#gate.gone;
  }

  async capture(sink: PageSink, options: CaptureOptions = {}): Promise<Harvest> {
    return await this.#gate.capture(options, (signal) => this.#capture(sink, options, signal));
  }

  async detach(): Promise<void> {
    await this.#gate.close();
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#forgetLog();
    if (this.#control.flags().present) this.#control.stopLog();
    await this.#options.guard.forget();
    this.#control.close();
    this.#options.release();
  }

  async #capture(sink: PageSink, options: CaptureOptions, signal: AbortSignal) {
    try {
      const log = (this.#log ??= this.#startLog());
      const whole = options.full === true || !log.started;
      this.#noteTarget();
      await this.#copier.survey(log.owed.pages, this.info.regions, sink, signal);
      if (whole) {
        // The log is on: what changes during this copy is copied again in the pause.
        await this.#copier.copyAll(sink, signal, options.onProgress);
      }
      const pause = await this.#paused(log, sink, signal);
      log.started = true;
      const kind = whole ? ('full' as const) : ('increment' as const);
      return { ...pause, kind, deviceState: this.#state.deviceState(), notes: [] };
    } catch (error) {
      // A first capture that failed placed an unknown part of the memory: the next starts over.
      if (this.#log?.started === false) this.#forgetLog();
      if (this.#look()) throw this.gone.reason;
      throw error;
    }
  }

  // A restored guest is to aim at the memory that it had, not at what it had when fitdoc attached.
  #noteTarget(): void {
    const targetKiB = Number(this.#control.readStore('memory/target'));
    if (!(targetKiB > 0)) return;
    const config = changeConfig(this.#options.configText, { targetKiB });
    this.#state.xl = { mandatoryFlags: 3, optionalFlags: 0, config };
  }

  #startLog(): DirtyLog {
    const pages = this.#control.pfns();
    this.#control.startLog();
    const harvested = this.#control.allocateBitmap(pages);
    return { harvested, fresh: new DirtyBitmap(pages), owed: new DirtyBitmap(pages), started: false };
  }

  #forgetLog(): void {
    if (this.#log) this.#control.freeBitmap(this.#log.harvested);
    this.#log = undefined;
  }

  async #suspend(signal: AbortSignal): Promise<void> {
    const { guard, suspendTimeoutMs } = this.#options;
    await guard.arm();
    try {
      await suspendGuest(this.#control, suspendTimeoutMs, signal);
    } catch (error) {
      await guard.disarm();
      throw error;
    }
  }

  async #paused(log: DirtyLog, sink: PageSink, signal: AbortSignal) {
    await this.#suspend(signal);
    try {
      return this.#copySuspended(log, sink, signal);
    } finally {
      // The guard stays with a guest that could not be resumed, and nowhere else: it would disturb `xl save`.
      if (!this.#control.flags().suspended) await this.#options.guard.disarm();
    }
  }

  #copySuspended(log: DirtyLog, sink: PageSink, signal: AbortSignal) {
    const capturedAtMs = Date.now();
    const marks = [performance.now()];
    const mark = () => marks.push(performance.now());
    try {
      for (const { type, body } of vcpuRecords(this.#control)) this.#state.record('libxc', type, body);
      mark();
      this.#control.harvest(log.harvested, true);
      log.fresh.load(log.harvested.bytes);
      log.owed.or(log.fresh);
      this.#addSpecialPages(log.owed);
      mark();
      throwIfAborted(signal);
      this.#copier.copyDirty(log.owed, sink);
      mark();
    } finally {
      this.#state.complete();
      this.#resume();
    }
    mark();
    const [start, state, harvest, copy, end] = marks as [number, number, number, number, number];
    return {
      pauseMs: end - start,
      pausePhases: {
        state: state - start,
        harvest: harvest - state,
        copy: copy - harvest,
        resume: end - copy,
      },
      capturedAtMs,
    };
  }

  // xenstored, xenconsoled and Xen write to these pages through mappings that the log does not see.
  #addSpecialPages(owed: DirtyBitmap): void {
    const region = this.info.regions.find((each) => each.name === 'special')!;
    const first = Number(region.gpa! / BigInt(PAGE_SIZE));
    for (let pfn = first; pfn < first + region.pages; pfn++) {
      if (pfn < owed.pages && this.#state.types.get(pfn) !== PAGE_TYPE.ABSENT) owed.set(pfn);
    }
  }

  #resume(): void {
    if (this.#control.flags().suspended) {
      try {
        this.#control.resume();
        return;
      } catch (cause) {
        throw new FitdocError('MACHINE_PAUSED', `The guest ${this.info.name} could not be resumed.`, {
          cause,
          hint: 'Attach and capture again, or `xl destroy` it and restore the latest checkpoint.',
        });
      }
    }
    throw new FitdocError('CAPTURE_FAILED', 'The guest ran on before the capture was complete.', {
      hint: 'The pause was longer than config.pauseLimitSeconds; capture again, or raise it.',
      retryable: true,
    });
  }

  #look(): boolean {
    if (this.#closed) return false;
    if (this.#control.flags().ended) this.#gate.markGone(this.info.name);
    return this.gone.aborted;
  }
}
