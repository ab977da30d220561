import { setTimeout as sleep } from 'node:timers/promises';
import { DirtyBitmap } from '@fitdoc/bitmap';
import {
  abortError,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type CaptureOptions,
  type DeviceState,
  type Harvest,
  type Machine,
  type MachineInfo,
  type MachineSupports,
  type PageSink,
} from '@fitdoc/interface';
import { copyPages } from './capture.js';
import { strikes } from './faults.js';
import { MockHarvest } from './harvest.js';
import type { MockGuest } from './mock-guest.js';

export interface MachineSettings {
  readonly info: MachineInfo;
  /** Why something is missing, for people. */
  readonly limits: readonly string[];
  /** Steps that the guest runs before each capture. */
  readonly steps: number;
  /** Milliseconds of real time between further steps; 0 for none. */
  readonly tick: number;
  /** Called once, when the attachment ends. */
  readonly onDetach: () => Promise<void>;
}

/** The state of one capture between its pause and its end. */
interface Taken {
  readonly kind: 'full' | 'increment';
  readonly deviceState: readonly DeviceState[];
  readonly phases: Record<string, number>;
}

/** A mock machine with fitdoc attached. */
export class MockMachine implements Machine {
  readonly info: MachineInfo;
  readonly supports: MachineSupports;
  readonly #guest: MockGuest;
  readonly #settings: MachineSettings;
  readonly #gone = new AbortController();
  readonly #detaching = new AbortController();
  /** Pages taken from the dirty log by the capture that is not committed yet. */
  readonly #taken: DirtyBitmap;
  #needsFull = true;
  #captures = 0;
  #capture: Promise<unknown> | undefined;
  #harvest: MockHarvest | undefined;
  #detached: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(guest: MockGuest, settings: MachineSettings) {
    this.info = settings.info;
    this.supports = Object.freeze({ increments: true, onDemand: true, limits: settings.limits });
    this.#guest = guest;
    this.#settings = settings;
    this.#taken = new DirtyBitmap(guest.memory.pages);
    guest.death.addEventListener('abort', this.#onDeath, { once: true });
    if (settings.tick > 0) this.#timer = setInterval(() => guest.run(), settings.tick).unref();
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  async capture(sink: PageSink, options: CaptureOptions = {}): Promise<Harvest> {
    this.#checkReady();
    const signal = AbortSignal.any([
      this.#gone.signal,
      this.#detaching.signal,
      ...(options.signal ? [options.signal] : []),
    ]);
    const work = this.#run(sink, options, signal);
    const settled = work.catch(() => undefined);
    this.#capture = settled;
    try {
      this.#harvest = await work;
      return this.#harvest;
    } finally {
      this.#capture = undefined;
    }
  }

  detach(_options: CallOptions = {}): Promise<void> {
    this.#detached ??= this.#end();
    return this.#detached;
  }

  async #end(): Promise<void> {
    clearInterval(this.#timer);
    this.#guest.death.removeEventListener('abort', this.#onDeath);
    this.#detaching.abort(new FitdocError('ABORTED', `Detached from ${this.info.name} during a capture.`));
    await this.#capture;
    this.#guest.resume();
    await this.#settings.onDetach();
  }

  #checkReady(): void {
    const { name } = this.info;
    if (this.#gone.signal.aborted) throw abortError(this.#gone.signal);
    if (this.#detached) {
      throw new FitdocError('ARGUMENT_INVALID', `${name} was detached and takes no further captures.`, {
        hint: 'Attach to the machine again.',
      });
    }
    if (this.#guest.player?.ended) throw this.#endOfRecording();
    if (this.#capture || this.#harvest?.pending) {
      throw new FitdocError('MACHINE_BUSY', `The last capture of ${name} is not finished.`, {
        hint: 'Wait for it, then commit or roll back its harvest, before the next.',
        retryable: true,
      });
    }
    if (this.#guest.paused) throw this.#stuck();
  }

  async #run(sink: PageSink, options: CaptureOptions, signal: AbortSignal): Promise<MockHarvest> {
    throwIfAborted(signal);
    this.#captures++;
    this.#guest.run(this.#settings.steps);
    const capturedAtMs = Date.now();
    const started = performance.now();
    this.#guest.pause();
    let taken: Taken;
    let pauseMs: number;
    try {
      taken = await this.#takeInPause(sink, options, signal);
      pauseMs = performance.now() - started;
      this.#resume();
      await this.#afterPause(signal);
    } catch (error) {
      this.#guest.memory.dirty.or(this.#taken);
      if (!isFitdocError(error, 'MACHINE_PAUSED')) this.#guest.resume();
      throw asCaptureError(error, this.info.name);
    }
    return new MockHarvest(
      { ...taken, pauseMs, pausePhases: taken.phases, capturedAtMs, notes: [] },
      (durable) => this.#resolve(taken.kind, durable),
    );
  }

  async #takeInPause(sink: PageSink, options: CaptureOptions, signal: AbortSignal): Promise<Taken> {
    const { faults, memory } = this.#guest;
    const count = this.#captures;
    const phases: Record<string, number> = {};
    const clock = phaseClock(phases);
    // Device state first: on real machines saving it writes to guest memory.
    if (faults.slowDevice) await pauseFor(faults.slowDevice, signal);
    if (strikes(faults.failDevice, count)) throw failure('The device state could not be saved.');
    const deviceState = this.#guest.saveDevices();
    clock('device');
    if (faults.dieAt === count) this.#guest.kill();
    throwIfAborted(this.#gone.signal);
    const kind = options.full === true || this.#needsFull ? 'full' : 'increment';
    this.#taken.load(memory.dirty.bytes);
    memory.dirty.clearAll();
    if (strikes(faults.failHarvest, count)) throw failure('The dirty log could not be read.');
    clock('harvest');
    if (strikes(faults.strayPage, count)) sink.place(memory.pages, 1);
    const { onProgress } = options;
    await copyPages(
      {
        guest: this.#guest,
        sink,
        signal,
        ...(strikes(faults.failCapture, count) ? { failHalfway: failure('The capture broke off.') } : {}),
        ...(onProgress
          ? { onPages: (done, total) => onProgress({ phase: 'reading pages', done, total, unit: 'pages' }) }
          : {}),
      },
      kind === 'full' ? 'all' : this.#taken,
    );
    clock('copy');
    return { kind, deviceState, phases };
  }

  #resume(): void {
    if (this.#guest.faults.leavePaused === this.#captures) throw this.#stuck();
    this.#guest.resume();
  }

  async #afterPause(signal: AbortSignal): Promise<void> {
    const { slowCapture } = this.#guest.faults;
    if (slowCapture) await pauseFor(slowCapture, signal);
    throwIfAborted(signal);
  }

  #resolve(kind: 'full' | 'increment', durable: boolean): void {
    if (!durable) {
      this.#guest.memory.dirty.or(this.#taken);
      return;
    }
    if (kind === 'full') this.#needsFull = false;
    this.#taken.clearAll();
    if (this.#guest.player?.commit()) this.#endOfRecording();
  }

  readonly #onDeath = (): void => {
    this.#goneWith(
      new FitdocError('MACHINE_GONE', `The mock machine ${this.info.name} died.`, {
        hint: 'Restore it from its last checkpoint, or forget it and attach anew for a fresh boot.',
      }),
    );
  };

  #endOfRecording(): FitdocError {
    return this.#goneWith(
      new FitdocError('MACHINE_GONE', `The recording of ${this.info.name} is at its end.`, {
        hint: 'Nothing failed: every epoch of the recording was captured.',
        details: { ended: true },
      }),
    );
  }

  #goneWith(error: FitdocError): FitdocError {
    clearInterval(this.#timer);
    if (!this.#gone.signal.aborted) this.#gone.abort(error);
    return abortError(this.#gone.signal);
  }

  #stuck(): FitdocError {
    return new FitdocError('MACHINE_PAUSED', `The mock machine ${this.info.name} stands still.`, {
      hint: "Detach from it, or call its guest's resume().",
    });
  }
}

function failure(message: string): FitdocError {
  return new FitdocError('CAPTURE_FAILED', message, {
    hint: 'This fault was asked for; take the next checkpoint.',
    retryable: true,
  });
}

function asCaptureError(error: unknown, name: string): FitdocError {
  if (isFitdocError(error)) return error;
  return new FitdocError('CAPTURE_FAILED', `The capture of ${name} failed.`, {
    cause: error,
    hint: 'The machine runs on and no dirty page is lost: take the next checkpoint.',
    retryable: true,
  });
}

/** Notes in `phases` what passed since the last call. */
function phaseClock(phases: Record<string, number>): (phase: string) => void {
  let last = performance.now();
  return (phase) => {
    const now = performance.now();
    phases[phase] = now - last;
    last = now;
  };
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw abortError(signal);
  }
}
