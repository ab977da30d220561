import {
  checkPauseTask,
  type FitdocError,
  noRoomForPause,
  PAGE_SIZE,
  PauseForecast,
  waitForBudget,
  type CaptureOptions,
  type Harvest,
  type Machine,
  type MachineInfo,
  type MachineSupports,
  type PageSink,
  type PauseBudget,
  type PauseTask,
} from '@fitdoc/interface';
import { CaptureGate } from '../machine/gate.js';
import { goneBy, notRunning } from '../host/states.js';
import { changeConfig, parseGuestConfig } from '../memory/guest-config.js';
import { PfnSpace } from '../memory/pfn-space.js';
import { GUEST_HVM } from '../stream/headers.js';
import { LIBXL, PAGE_TYPE } from '../stream/layout.js';
import { StreamState } from '../stream/stream-state.js';
import type { DeviceModel } from './devices/device-model.js';
import type { DomainGuard } from './guard/guard-client.js';
import { endLog } from './guard/end-log.js';
import { halt, isBeingSaved, letGo, monitorsOf } from './guard/toolstack.js';
import { DirtyLog } from './pause/dirty-log.js';
import { PageCopier } from './pause/pages.js';
import { PauseWork, type Paused } from './pause/pause-work.js';
import { suspendGuest } from './pause/suspend.js';
import { staticRecords } from './pause/vcpu-state.js';
import type { DomainControl } from './xen/control.js';

const GONE_LOOK_MS = 2000;
/** Dirty pages from which a pass over them pays before the pause; about twice what a suspend itself writes to. */
const PASS_PAGES = 1024;
/** Most passes before a pause: a guest that writes faster than they copy gains nothing by more. */
const MOST_PASSES = 3;
/** Most passes for want of room: a guest that writes faster than they copy does not leave less of it. */
const MOST_ROUNDS = 8;

export interface DirectMachineOptions {
  readonly control: DomainControl;
  readonly guard: DomainGuard;
  /** Of an HVM guest. */
  readonly devices?: DeviceModel;
  readonly info: MachineInfo;
  readonly configText: string;
  readonly xen: { readonly major: number; readonly minor: number };
  readonly suspendTimeoutMs: number;
  /** When the guard lets a suspended guest go on. */
  readonly pauseLimitMs: number;
  readonly limits: readonly string[];
  release(): void;
}

/** A PVH or HVM domain of this host, captured through Xen's own dirty log: only dirty pages are mapped and copied. */
export class DirectMachine implements Machine {
  readonly info: MachineInfo;
  readonly supports: MachineSupports;
  readonly #options: DirectMachineOptions;
  readonly #control: DomainControl;
  readonly #gate = new CaptureGate();
  readonly #state = new StreamState();
  readonly #copier: PageCopier;
  readonly #forecast = new PauseForecast();
  /** Pages that the last suspend itself wrote to: they come on top of those that are dirty before it. */
  #ownPages = 0;
  readonly #timer: NodeJS.Timeout;
  #log: DirtyLog | undefined;
  /** Whether we turned the log on since the attach. */
  #logged = false;
  /** It is suspended by us, while something is done beside. */
  #ourPause = false;
  #closed = false;

  constructor(options: DirectMachineOptions) {
    this.#options = options;
    this.#control = options.control;
    this.info = options.info;
    this.supports = Object.freeze({
      increments: true,
      onDemand: true,
      pauseBudget: true,
      pauseTask: true,
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

  async standing(): Promise<FitdocError | undefined> {
    if (this.#look()) throw this.gone.reason;
    const { paused, suspended } = this.#control.flags();
    if (isBeingSaved(this.#control.domid)) {
      // Whoever saves it has cleared our log, and turns it off at the end.
      this.#forgetLog();
      return notRunning('migrating');
    }
    if (suspended) return this.#ourPause ? undefined : notRunning('suspended');
    return paused ? notRunning('paused') : undefined;
  }

  async detach(): Promise<void> {
    await this.#gate.close();
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#forgetLog();
    try {
      // Also the log of a first capture that failed, of which nothing is kept here.
      if (this.#logged && this.#control.flags().present) this.#endLog();
    } finally {
      await this.#options.guard.forget();
      this.#control.close();
      this.#options.release();
    }
  }

  async #capture(sink: PageSink, options: CaptureOptions, signal: AbortSignal) {
    const { devices, pauseLimitMs } = this.#options;
    checkPauseTask(options.pauseTask, pauseLimitMs, 'config.pauseLimitSeconds');
    const standing = await this.standing();
    if (standing) throw standing;
    try {
      // Somebody may have begun and ended a migration since: its end turned our log off.
      if (this.#log?.lost) this.#forgetLog();
      await devices?.reach(signal);
      const log = (this.#log ??= this.#startLog());
      const whole = options.full === true || !log.started;
      this.#noteTarget();
      await this.#copier.survey(log.pages, this.info.regions, sink, signal);
      // The log is on: what changes during this copy is copied again.
      if (whole) await this.#copier.copyAll(sink, signal, options.onProgress);
      await this.#catchUp(log, sink, signal);
      const waited = options.pauseBudget && (await this.#wait(options.pauseBudget, log, sink, signal));
      await this.#makeRoom(log, sink, signal);
      const { records, pages: _, ...pause } = await this.#paused(log, sink, signal, options.pauseTask);
      if (isBeingSaved(this.#control.domid)) {
        this.#forgetLog();
        throw notRunning('migrating');
      }
      const emulator = devices?.takeState();
      for (const { type, body } of records) this.#state.record('libxc', type, body);
      if (emulator) this.#state.record('libxl', LIBXL.EMULATOR_CONTEXT, emulator);
      this.#state.complete();
      log.started = true;
      const kind = whole ? ('full' as const) : ('increment' as const);
      const pauseBudget = waited && { ...waited, kept: pause.pauseMs <= waited.maxMs };
      const deviceState = this.#state.deviceState();
      return { ...pause, kind, deviceState, notes: [], ...(pauseBudget && { pauseBudget }) };
    } catch (error) {
      // A first capture that failed placed an unknown part of the memory: the next starts over.
      if (this.#log?.started === false) this.#forgetLog();
      if (this.#look()) throw this.gone.reason;
      throw error;
    } finally {
      devices?.close();
    }
  }

  #startLog(): DirtyLog {
    const log = new DirtyLog(this.#control);
    try {
      // Before the first page is copied, and never without it: what devices write would be missing, unseen.
      this.#options.devices?.logWrites(true);
      this.#logged = true;
      return log;
    } catch (error) {
      log.free();
      endLog(this.#control);
      throw error;
    }
  }

  /** Copies dirty pages while the guest runs, as long as that leaves fewer of them for the pause. */
  async #catchUp(log: DirtyLog, sink: PageSink, signal: AbortSignal): Promise<void> {
    let last = Infinity;
    for (let pass = 0; pass < MOST_PASSES; pass++) {
      const pages = log.count();
      if (pages < PASS_PAGES || pages > last / 2) return;
      last = pages;
      log.prepare();
      log.harvest(false);
      await this.#copier.copyRunning(log.owed, sink, signal);
    }
  }

  /** Has room in the sink for what the pause puts there; where there is none, copies pages while the guest runs. */
  async #makeRoom(log: DirtyLog, sink: PageSink, signal: AbortSignal): Promise<void> {
    const wanted = () => this.#copier.intoSink(log.count() + this.#ownPages);
    for (let round = 0; sink.prepare; round++) {
      const pages = wanted();
      // It may have written while the sink made room.
      if (pages === 0 || ((await sink.prepare(pages)) && wanted() <= pages)) return;
      if (round === MOST_ROUNDS) throw noRoomForPause(log.count());
      log.prepare();
      log.harvest(false);
      await this.#copier.copyRunning(log.owed, sink, signal);
    }
  }

  async #wait(budget: PauseBudget, log: DirtyLog, sink: PageSink, signal: AbortSignal) {
    const estimate = async () => {
      await this.#catchUp(log, sink, signal);
      return this.#forecast.estimate(log.count() + this.#ownPages);
    };
    return await waitForBudget(budget, estimate, signal);
  }

  // A restored guest is to aim at the memory that it had, not at what it had when fitdoc attached.
  #noteTarget(): void {
    const { configText } = this.#options;
    const balloonKiB = Number(this.#control.readStore('memory/target'));
    if (!(balloonKiB > 0)) return;
    // The configuration counts the screen's memory in, xenstore leaves it out.
    const config = changeConfig(configText, {
      targetKiB: balloonKiB + parseGuestConfig(configText).videoKiB,
    });
    this.#state.xl = { mandatoryFlags: 3, optionalFlags: 0, config };
  }

  #endLog(): void {
    const { devices } = this.#options;
    endLog(this.#control, (enable) => {
      try {
        devices?.logWrites(enable);
      } catch {
        // It goes on saying what nobody listens to; a migration turns it on and off for itself.
      }
    });
    devices?.close();
  }

  #forgetLog(): void {
    this.#log?.free();
    this.#log = undefined;
  }

  async #paused(
    log: DirtyLog,
    sink: PageSink,
    signal: AbortSignal,
    task: PauseTask | undefined,
  ): Promise<Paused> {
    const { guard, suspendTimeoutMs, devices } = this.#options;
    const work = new PauseWork(this.#control, this.#copier, log, this.info.name, devices);
    const dirty = log.count();
    work.prepare(this.#specialPages(log.pages), dirty);
    await devices?.reach(signal);
    const monitors = monitorsOf(this.info.name);
    await guard.arm(monitors);
    halt(monitors);
    try {
      // As late as can be: a suspend that is somebody else's would be taken for ours.
      const standing = await this.standing();
      if (standing) throw standing;
      const times = await suspendGuest(this.#control, suspendTimeoutMs, signal);
      this.#ourPause = true;
      const paused = await work.take(sink, signal, times, task);
      this.#forecast.learn(paused.pages, paused.pauseMs);
      this.#ownPages = Math.max(0, paused.pages - dirty);
      return paused;
    } finally {
      this.#ourPause = false;
      await this.#standDown(monitors);
    }
  }

  async #standDown(monitors: readonly number[]): Promise<void> {
    const { suspended, paused } = this.#control.flags();
    // `xl` takes a suspend that it sees for the guest's end: whoever resumes the guest lets it go.
    if (!suspended) letGo(monitors);
    // The guard stays with a guest that could not be resumed, or that may have taken the request when its
    // operator paused it and will suspend itself when it runs again; and nowhere else: it would disturb `xl save`.
    if (paused || suspended) await this.#options.guard.arm(suspended ? monitors : [], GONE_LOOK_MS);
    else await this.#options.guard.disarm();
  }

  *#specialPages(end: number): Generator<number> {
    const region = this.info.regions.find((each) => each.name === 'special')!;
    const first = Number(region.gpa! / BigInt(PAGE_SIZE));
    for (let pfn = first; pfn < Math.min(end, first + region.pages); pfn++) {
      if (this.#state.types.get(pfn) !== PAGE_TYPE.ABSENT) yield pfn;
    }
  }

  #look(): boolean {
    if (this.#closed || this.gone.aborted) return this.gone.aborted;
    const { ended, crashed, shutdown, poweredOff } = this.#control.flags();
    const how = crashed ? 'crashed' : poweredOff ? 'shutdown' : shutdown ? 'rebooting' : undefined;
    if (ended) this.#gate.markGone(goneBy(this.info.name, how));
    return this.gone.aborted;
  }
}
