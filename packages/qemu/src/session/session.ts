import {
  FitdocError,
  isFitdocError,
  throwIfAborted,
  withLinkedSignal,
  withPatience,
  type PauseBudget,
  type PausePhases,
} from '@fitdoc/interface';
import type { QemuConfig } from '../config.js';
import { notRunning } from '../machine/run-state.js';
import { CONFIGURATION_STATE, DEVICES_STATE } from '../machine/state-names.js';
import type { QmpClient } from '../qmp/client.js';
import type { Destination } from '../reader/loans.js';
import { nowMs } from '../clock.js';
import type { ReaderThread } from '../reader/thread.js';
import { COLO_LOADED, COLO_READY, COLO_RECEIVED, COLO_REPLY, RETURN_PATH_SHUT } from '../stream/layout.js';
import { runStateIn } from '../stream/global-state.js';
import type { StreamHeader } from '../stream/sections.js';
import { phases, type Captured } from './captured.js';
import { StreamChannel } from './channel.js';
import { coloBegins } from './colo-begin.js';
import { openLink, type Link, type StreamWay } from './link.js';
import { Convergence } from './convergence.js';
import type { Choice } from './mode.js';
import { ranFor, stoppedAgain } from './notes.js';
import { endOrdinary } from './ordinary-end.js';
import { completed, type Completion, type PauseWatch } from './pause.js';
import { isMigrating, migrationState, release, type Released } from './release.js';
import { inTime } from './in-time.js';
import { ranBetween, whileStanding, whileWritten, type InPause } from './in-pause.js';
import { lower, raise, type Shield } from './shield.js';
import { asUnmigratable } from './unmigratable.js';

/** What a session works with, beside the connection that it makes. */
export interface SessionParts extends Pick<Choice, 'colo' | 'returnPath' | 'endsAtColo'> {
  readonly qmp: QmpClient;
  readonly pauses: PauseWatch;
  readonly reader: ReaderThread;
  readonly config: QemuConfig;
  readonly shield: Shield;
  /** The guest stands, and nothing of ours is to run it. */
  readonly standing: boolean;
  /** Told of the socket that QEMU's stream is read from (undefined: it is over), and whether QEMU may await our word. */
  readonly reads?: (socket: number | undefined, awaited: boolean) => void;
}

const RESUME = 'QEMU did not resume the guest';
const SILENT = 'QEMU did not say whether the guest runs';

/** One migration out of QEMU to us: a full capture, then, with COLO, increments until it ends. */
export class Session {
  private stage: 'precopy' | 'checkpoints' | 'over' = 'precopy';
  private channel: StreamChannel | undefined;
  private header: StreamHeader | undefined;
  /** Bytes of the largest of the last checkpoints: what to expect of the next. */
  private expectedBytes = 0;
  /** QEMU has asked for a checkpoint and was not answered. */
  private asked = false;
  private shielded = false;
  /** Its operator stopped the guest while it was captured: it is left so, though no event told of it. */
  private standing: boolean;
  /** The descriptor of the stream's socket. */
  private socket: number | undefined;

  private constructor(
    private readonly parts: SessionParts,
    private readonly link: Link,
    /** Watched from before the migration begins: a small guest's can be over before the first capture reads on. */
    private readonly completion: Completion,
  ) {
    this.standing = parts.standing;
  }

  /**
   * Starts the migration and reads its header. The first capture reads the rest; until then QEMU waits, and
   * the guest runs. Requires that capabilities and parameters are set.
   */
  static async start(parts: SessionParts, signal: AbortSignal): Promise<Session> {
    parts.pauses.begin();
    const link = await openLink(parts.qmp, parts.config, signal);
    const session = new Session(parts, link, completed(parts.qmp));
    try {
      await parts.qmp.execute('migrate', { uri: link.uri }, { signal }).catch(async (error: unknown) => {
        await link.refused();
        throw asUnmigratable(error);
      });
      session.channel = await session.connected(signal);
      session.header = await session.readHeader(signal);
      return session;
    } catch (error) {
      await session.end();
      throw error;
    }
  }

  /** How QEMU's bytes come to us. */
  get way(): StreamWay {
    return this.link.way;
  }

  /** The versioned machine type, configuration and RAM blocks that the stream announced. */
  get announced(): StreamHeader {
    return this.header!;
  }

  /** Whether the next capture of this session brings every page. */
  get full(): boolean {
    return this.stage === 'precopy';
  }

  /** Whether nothing can follow in this session. */
  get over(): boolean {
    return this.stage === 'over';
  }

  /**
   * Takes one capture. `inPause` is done while the guest stands, its memory and devices as they are captured; the
   * guest goes on once that settles, however it does. After a failure the session is over, and the guest may need
   * `end` to run.
   */
  async capture(
    to: Destination,
    signal: AbortSignal,
    budget?: PauseBudget,
    inPause?: InPause,
  ): Promise<Captured> {
    // Else the kernel holds the answers to all that QEMU will ask.
    const awaited = this.full || inPause !== undefined;
    if (awaited) this.parts.reads?.(this.socket, true);
    try {
      if (this.full) return await this.precopy(to, signal, budget, inPause);
      return await withPatience(signal, this.parts.config.timeoutMs, (patience) =>
        this.checkpoint(to, signal, patience, inPause),
      );
    } finally {
      if (awaited && !this.over) this.parts.reads?.(this.socket, false);
    }
  }

  /** Ends the migration, whatever its state, and leaves the guest as its operator wants it. */
  async end(): Promise<Released> {
    const keepStopped = this.standing || this.parts.pauses.undone() !== undefined;
    this.stage = 'over';
    this.completion.end();
    this.parts.reads?.(undefined, false);
    const close = async (): Promise<void> => {
      await this.channel?.close();
      await this.link.close();
    };
    const { qmp } = this.parts;
    if (!qmp.closed.aborted) {
      await this.takeShieldDown();
      const released = await release(qmp, { close, keepStopped });
      await this.takeShieldDown();
      return released;
    }
    await close();
    return {};
  }

  private async putShieldUp(): Promise<void> {
    const { qmp, shield } = this.parts;
    this.shielded = shield !== undefined;
    // Without it the guest is at the risk that the machine's limits name; a capture is not worth less.
    await raise(qmp, shield).catch(() => undefined);
  }

  /** A QEMU that is about to end COLO by itself may refuse it; it is asked again when that is over. */
  private async takeShieldDown(): Promise<void> {
    const { qmp, shield } = this.parts;
    if (!this.shielded) return;
    await lower(qmp, shield).then(
      () => (this.shielded = false),
      () => undefined,
    );
  }

  private async precopy(
    to: Destination,
    signal: AbortSignal,
    budget?: PauseBudget,
    inPause?: InPause,
  ): Promise<Captured> {
    try {
      const converging = new Convergence(this.parts, budget);
      const devices = await this.read(to, signal, converging);
      const state = runStateIn(devices) ?? 'running';
      if (state !== 'running') {
        this.standing = true;
        // Its disks would be those of another moment; when it runs again, they can be had.
        if (inPause) throw notRunning(state);
        return await this.ofStanding(devices, state, await converging.notes);
      }
      if (!(await this.goOn(this.completion, signal, inPause)))
        return await this.coloNeverBegan(devices, await converging.notes);
      const { colo } = this.parts;
      this.stage = colo ? 'checkpoints' : 'over';
      if (colo) await this.putShieldUp();
      else await this.channel!.close();
      return this.captured('full', devices, {}, await converging.notes);
    } finally {
      this.completion.end();
    }
  }

  /** Reads all of memory while the guest runs, and what is left of it and the devices when it stands. */
  private async read(to: Destination, signal: AbortSignal, converging: Convergence): Promise<Uint8Array> {
    const { pauses } = this.parts;
    const running = (): boolean => pauses.resumedAtMs >= pauses.stoppedAtMs;
    const reading = withLinkedSignal([signal, converging.refused], (either) =>
      this.channel!.run({ type: 'precopy' }, either, { ...to, running }),
    );
    const stopped = pauses.stoppedByOthers(converging.over);
    const { devices } = await Promise.race([reading, stopped]).finally(() => converging.end());
    return devices!;
  }

  /** Has QEMU resume the guest. Says whether it did; else it has ended its migration where COLO was to begin. */
  private async goOn({ seen, failed }: Completion, signal: AbortSignal, inPause?: InPause): Promise<boolean> {
    const { qmp, pauses, config, colo, returnPath, endsAtColo } = this.parts;
    return withPatience(signal, config.timeoutMs, async (patience) => {
      const resumed = pauses.resumed(patience, endsAtColo).then(() => true);
      // Handled below; without this an earlier failure would leave its rejection unobserved.
      resumed.catch(() => undefined);
      // With a return path QEMU waits for its end before it awaits our READY.
      if (returnPath) this.channel!.send(RETURN_PATH_SHUT);
      // QEMU stands there, its disks still its own, until it is told that we are ready.
      if (inPause && (colo || endsAtColo))
        await coloBegins(this.parts, signal).then(async () => whileStanding(inPause));
      if (colo) this.channel!.send([COLO_READY]);
      // To hang up in place of being ready ends COLO before its first checkpoint.
      else if (endsAtColo) await this.end();
      else await endOrdinary(qmp, config.timeoutMs, signal, inPause);
      const either = colo ? [resumed, failed, seen.then(() => false)] : [resumed, failed];
      return this.timed(Promise.race(either), signal, RESUME);
    });
  }

  /**
   * What QEMU does from the answer on needs nobody: the guest stops, its pages and devices go into the kernel's
   * buffer, QEMU finds the answers to what it asks next where it asks, and the guest runs. We look at the bytes then.
   */
  private async checkpoint(
    to: Destination,
    signal: AbortSignal,
    patience: AbortSignal,
    inPause?: InPause,
  ): Promise<Captured> {
    const { pauses } = this.parts;
    const channel = this.channel!;
    if (!this.asked)
      await this.timed(channel.run({ type: 'request' }, patience), signal, 'QEMU asked for no checkpoint');
    this.asked = true;
    await inPause?.before?.(patience);
    pauses.enter(nowMs());
    this.asked = false;
    const resumed = pauses.resumed(patience);
    const stops = pauses.stops();
    // What is to be done when all is written out waits for the last byte, so that all is read as it comes.
    channel.resumed = inPause?.still !== undefined;
    // After a failure as well: what is there is then read to its end, which is the stream's.
    const noted = resumed.catch(() => undefined).then(() => (channel.resumed = true));
    const reading = channel.run({ type: 'checkpoint', expectedBytes: this.expectedBytes }, patience, to);
    // The answers to what QEMU has yet to send. With the last of them it resumes the guest, asking nobody, as soon as
    // it has written everything: that one waits for what is done in the pause, and for nothing else.
    channel.send(inPause ? [COLO_REPLY, COLO_RECEIVED] : [COLO_REPLY, COLO_RECEIVED, COLO_LOADED]);
    const done = inPause && whileWritten(inPause, stops, reading).finally(() => channel.send([COLO_LOADED]));
    // It surfaces below, after a failure that it may only follow from.
    done?.catch(() => undefined);
    const {
      devices,
      times,
      bytes = 0,
    } = await this.timed(reading, signal, 'QEMU did not send its checkpoint');
    await done;
    await noted;
    await this.timed(resumed, signal, RESUME);
    if (inPause?.standing && !(await this.timed(pauses.unbroken(patience), signal, SILENT)))
      throw ranBetween();
    // A guest that calmed down is believed only slowly.
    this.expectedBytes = Math.max(bytes, this.expectedBytes * 0.9);
    const stopped = pauses.undone();
    const notes = stopped === undefined ? [] : [stoppedAgain(stopped)];
    return this.captured('increment', devices!, phases(pauses, times), notes);
  }

  /** The capture of a guest that its operator stopped while it was taken: complete, and the guest stays as it is. */
  private async ofStanding(devices: Uint8Array, state: string, notes: readonly string[]): Promise<Captured> {
    const { ranMs } = await this.end();
    const left = ranMs === undefined ? [] : [ranFor(ranMs)];
    const what = `${notRunning(state).message} It is left so.`;
    return this.captured('full', devices, {}, [...notes, what, ...left]);
  }

  private async coloNeverBegan(devices: Uint8Array, notes: readonly string[]): Promise<Captured> {
    await this.end();
    return { ...this.captured('full', devices, {}, notes), withoutColo: true };
  }

  private captured(
    kind: Captured['kind'],
    devices: Uint8Array,
    steps: PausePhases,
    notes: readonly string[],
  ): Captured {
    const { stoppedAtMs, resumedAtMs } = this.parts.pauses;
    return {
      kind,
      notes,
      deviceState: [
        { name: CONFIGURATION_STATE, bytes: this.announced.configuration },
        { name: DEVICES_STATE, bytes: devices },
      ],
      pauseMs: Math.max(0, resumedAtMs - stoppedAtMs),
      pausePhases: steps,
      // One that stood before we came was not seen to stop.
      capturedAtMs: Math.floor(stoppedAtMs || nowMs()),
    };
  }

  private async timed<Value>(call: Promise<Value>, signal: AbortSignal, what: string): Promise<Value> {
    const { qmp, config } = this.parts;
    return inTime(call, { signal, gone: qmp.closed, timeoutMs: config.timeoutMs }, what);
  }

  private async connected(signal: AbortSignal): Promise<StreamChannel> {
    const { qmp, config, reader } = this.parts;
    const deadline = performance.now() + config.timeoutMs;
    const socket = await this.link.socket(async () => {
      throwIfAborted(signal);
      return !isMigrating(await migrationState(qmp, signal)) || performance.now() > deadline;
    });
    if (socket === undefined) throw await this.unable(signal);
    this.socket = socket;
    this.parts.reads?.(socket, false);
    return StreamChannel.open(reader, socket, this.link.way.bufferBytes);
  }

  private async readHeader(signal: AbortSignal): Promise<StreamHeader> {
    const call = withPatience(signal, this.parts.config.timeoutMs, (patience) =>
      this.channel!.run({ type: 'header' }, patience),
    );
    await this.timed(call, signal, 'QEMU began no migration').catch(async (error: unknown) => {
      // A migration that QEMU gave up at its beginning has its reason there, and a stream without a word.
      const { migration } = await migrationState(this.parts.qmp, signal);
      throw isFitdocError(error, 'CAPTURE_FAILED') && migration === 'failed'
        ? await this.unable(signal)
        : error;
    });
    return (await call).header!;
  }

  private async unable(signal: AbortSignal): Promise<FitdocError> {
    const { errorText } = await migrationState(this.parts.qmp, signal);
    return new FitdocError(
      'CAPABILITY_MISSING',
      `QEMU cannot migrate this guest: ${errorText ?? 'no reason given'}`,
      {
        hint:
          this.link.way.through === 'path'
            ? `QEMU's user must reach our socket (${this.link.uri}; setting socketDirectory), and no device may block migration.`
            : 'No device may block migration.',
      },
    );
  }
}
