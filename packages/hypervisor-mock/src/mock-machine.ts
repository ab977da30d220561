import { setTimeout as sleep } from 'node:timers/promises';
import { DirtyBitmap } from '@fitdoc/bitmap';
import {
  abortError,
  FitdocError,
  isFitdocError,
  PauseForecast,
  throwIfAborted,
  waitForBudget,
  withLinkedSignal,
  type CallOptions,
  type CaptureOptions,
  type DeviceState,
  type Harvest,
  type Machine,
  type MachineInfo,
  type MachineSupports,
  type PageSink,
} from '@fitdoc/interface';
import { asCaptureError, failure, notRunning, poweredOff } from './capture-errors.js';
import { copyPages, type Copy } from './capture.js';
import { copyAhead } from './copy-ahead.js';
import { DiskCapture } from './disk-capture.js';
import { strikes, type Faults } from './faults.js';
import { MockHarvest } from './harvest.js';
import type { MockDisk, TakenBlocks } from './mock-disk.js';
import type { MockGuest } from './mock-guest.js';

export interface MachineSettings {
  readonly info: MachineInfo;
  /** Disks that captures bring; none where they are left to the user. */
  readonly disks: readonly MockDisk[];
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
  readonly pages: number;
  readonly disks: DiskCapture | undefined;
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
  readonly #forecast = new PauseForecast();
  #committedDisks: ReadonlySet<MockDisk> = new Set();
  #needsFull = true;
  #takenDisks: DiskCapture | undefined;
  #captures = 0;
  #capture: Promise<unknown> | undefined;
  #harvest: MockHarvest | undefined;
  #detached: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(guest: MockGuest, settings: MachineSettings) {
    this.info = settings.info;
    this.supports = Object.freeze({
      increments: true,
      onDemand: true,
      pauseBudget: true,
      pauseTask: true,
      ...(settings.disks.length > 0 && { disks: true }),
      limits: settings.limits,
    });
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
    const signals = [this.#gone.signal, this.#detaching.signal, options.signal];
    const work = withLinkedSignal(signals, (signal) => this.#run(sink, options, signal));
    const settled = work.catch(() => undefined);
    this.#capture = settled;
    try {
      this.#harvest = await work;
      return this.#harvest;
    } finally {
      this.#capture = undefined;
    }
  }

  async standing(): Promise<FitdocError | undefined> {
    throwIfAborted(this.#gone.signal);
    const { standing } = this.#guest;
    return standing === undefined ? undefined : notRunning(this.info.name, standing);
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
    if (this.#guest.standing !== undefined) throw notRunning(this.info.name, this.#guest.standing);
  }

  async #run(sink: PageSink, options: CaptureOptions, signal: AbortSignal): Promise<MockHarvest> {
    throwIfAborted(signal);
    this.#captures++;
    this.#guest.run(this.#settings.steps);
    const { pauseBudget } = options;
    const waited =
      pauseBudget && (await waitForBudget(pauseBudget, () => this.#expectedPause(options), signal));
    let taken: Taken;
    let pauseMs: number;
    let capturedAtMs: number;
    this.#taken.clearAll();
    try {
      const ahead = await copyAhead(this.#copyOf(sink, options, signal), this.#taken, this.#isFull(options));
      capturedAtMs = Date.now();
      const started = performance.now();
      this.#guest.pause();
      const task = options.pauseTask?.run();
      taken = await this.#takeInPause(sink, options, signal, ahead);
      await task;
      pauseMs = performance.now() - started;
      this.#resume();
      this.#forecast.learn(taken.pages, pauseMs);
      await this.#afterPause(signal);
    } catch (error) {
      this.#giveBack();
      if (!isFitdocError(error, 'MACHINE_PAUSED')) this.#guest.resume();
      throw asCaptureError(error, this.info.name);
    }
    return new MockHarvest(
      {
        ...{ kind: taken.kind, deviceState: taken.deviceState, pausePhases: taken.phases, notes: [] },
        ...{ pauseMs, capturedAtMs },
        ...(taken.disks && { disks: taken.disks.disks }),
        ...(waited && { pauseBudget: { ...waited, kept: pauseMs <= waited.maxMs } }),
      },
      (durable) => this.#resolve(taken.kind, durable),
    );
  }

  #isFull({ full }: CaptureOptions): boolean {
    return full === true || this.#needsFull;
  }

  #copyOf(sink: PageSink, { onProgress }: CaptureOptions, signal: AbortSignal): Copy {
    return {
      guest: this.#guest,
      sink,
      signal,
      ...(onProgress
        ? { onPages: (done, total) => onProgress({ phase: 'reading pages', done, total, unit: 'pages' }) }
        : {}),
    };
  }

  /** `ahead`: all but what is dirty now was copied before the pause. */
  async #takeInPause(
    sink: PageSink,
    options: CaptureOptions,
    signal: AbortSignal,
    ahead: boolean,
  ): Promise<Taken> {
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
    const kind = this.#isFull(options) ? 'full' : 'increment';
    const dirty = new DirtyBitmap(memory.pages);
    dirty.load(memory.dirty.bytes);
    this.#taken.or(dirty);
    memory.dirty.clearAll();
    if (strikes(faults.failHarvest, count)) throw failure('The dirty log could not be read.');
    const disks = this.#takeDisks(options);
    clock('harvest');
    if (strikes(faults.strayPage, count)) sink.place(memory.pages, 1);
    const breaksOff = strikes(faults.failCapture, count) && {
      failHalfway: failure('The capture broke off.'),
    };
    const copy = { ...this.#copyOf(sink, options, signal), ...breaksOff };
    const pages = await copyPages(copy, kind === 'full' && !ahead ? 'all' : dirty);
    clock('copy');
    return { kind, deviceState, phases, pages, disks };
  }

  #takeDisks({ full, diskMoments }: CaptureOptions): DiskCapture | undefined {
    const { disks } = this.#settings;
    if (disks.length === 0) return undefined;
    const { failDisk, slowDisk = 0 } = this.#guest.faults;
    const known = (disk: MockDisk, { since }: TakenBlocks): boolean =>
      full !== true &&
      (this.#committedDisks.has(disk) || (since !== undefined && diskMoments?.get(disk.name) === since));
    const trouble = { fails: strikes(failDisk, this.#captures), slowMs: slowDisk };
    this.#takenDisks = new DiskCapture(disks, known, trouble);
    return this.#takenDisks;
  }

  /** What was taken counts as written again. */
  #giveBack(): void {
    this.#guest.memory.dirty.or(this.#taken);
    this.#takenDisks?.rollback();
    this.#takenDisks = undefined;
  }

  /** What the pause would be now; undefined for a full capture, whose pages nobody has counted. */
  #expectedPause({ full }: CaptureOptions): number | undefined {
    if (full === true || this.#needsFull) return undefined;
    return this.#forecast.estimate(this.#guest.memory.dirty.count());
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
    if (!durable) return this.#giveBack();
    this.#takenDisks?.commit();
    this.#takenDisks = undefined;
    this.#committedDisks = new Set(this.#settings.disks);
    if (kind === 'full') this.#needsFull = false;
    this.#taken.clearAll();
    if (this.#guest.player?.commit()) this.#endOfRecording();
    this.#afterCapture(this.#guest.faults);
  }

  /** What the operator, or the guest, does between two captures. */
  #afterCapture({ stopAfter, stopFor, powerOff }: Faults): void {
    const guest = this.#guest;
    if (stopAfter === this.#captures) {
      guest.stand();
      if (stopFor !== undefined) setTimeout(() => guest.goOn(), stopFor).unref();
    }
    if (powerOff === this.#captures) this.#goneWith(poweredOff(this.info.name));
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
