import { existsSync, readFileSync, rmSync } from 'node:fs';
import { FitdocError } from '@fitdoc/interface';
import { dataView } from '../../stream/headers.js';
import type { SocketCalls } from '../xen/binding.js';
import { QmpConnection } from './qmp.js';
import { NoAnswer } from './sockets.js';

/** How long QEMU may take for an answer in a pause. */
const ANSWER_MS = 2000;
/** How long it may take to serve us where the guest runs meanwhile: on a busy host its main loop comes late. */
const PATIENCE_MS = 30_000;
/** QEMU as libxl numbers device models: qemu-xen, the first of its kind. */
const EMULATOR = { id: 2, index: 0 } as const;

const FOLDERS = { sockets: '/var/run/xen', state: '/run' };

/** The control sockets that libxl gives each QEMU: its own, and one for statistics, which nothing needs for long. */
const socketOf = (domid: number, user: 'libxl' | 'libxenstat', folder = FOLDERS.sockets) =>
  `${folder}/qmp-${user}-${domid}`;

/** Whether a domain's device model is a QEMU of this dom0, which can be asked. */
export function hasDeviceModel(domid: number): boolean {
  return existsSync(socketOf(domid, 'libxenstat'));
}

function refused(what: string, cause: unknown): FitdocError {
  return new FitdocError('CAPTURE_FAILED', `The device model could not ${what}.`, {
    cause,
    hint: 'See /var/log/xen/qemu-dm-NAME.log; config.path "remus" captures through the toolstack instead.',
    retryable: true,
  });
}

/**
 * An HVM guest's device model: QEMU in dom0. It writes to the guest's memory itself, and Xen sees that only while
 * QEMU has been told to say so; and its devices are a part of the guest's state.
 */
export class DeviceModel {
  readonly #calls: SocketCalls;
  readonly #socket: string;
  readonly #file: string;
  #connection: QmpConnection | undefined;

  constructor(calls: SocketCalls, domid: number, folders = FOLDERS) {
    this.#calls = calls;
    this.#socket = socketOf(domid, 'libxenstat', folders.sockets);
    this.#file = `${folders.state}/fitdoc-xen-${domid}.devices`;
  }

  /** QEMU's version. Errors: CAPTURE_FAILED. */
  version(): string {
    return this.#ask('tell its version', (qmp) => qmp.version);
  }

  /** Whether QEMU says to which pages it writes. Errors: CAPTURE_FAILED. */
  logWrites(enable: boolean): void {
    const what = enable ? 'log its writes' : 'end the log of its writes';
    this.#ask(what, (qmp) => qmp.execute('xen-set-global-dirty-log', { enable }));
  }

  /** Connects for the pause that comes: what that takes is not in it. Errors: CAPTURE_FAILED, ABORTED. */
  async reach(signal: AbortSignal): Promise<void> {
    try {
      this.#connection ??= await QmpConnection.served(
        this.#calls,
        this.#socket,
        { limitMs: ANSWER_MS, patienceMs: PATIENCE_MS },
        signal,
      );
    } catch (cause) {
      if (cause instanceof NoAnswer) throw refused('be reached', cause);
      throw cause;
    }
  }

  /** Stops the devices, once the vCPUs stand, and lets them write their state into a file. Errors: CAPTURE_FAILED. */
  stopAndSave(): void {
    this.#ask('stop', (qmp) => qmp.execute('stop'));
    // Not live, or so QEMU takes it: with a live save it would give up its images, for another QEMU to take over.
    this.#ask('save its state', (qmp) =>
      qmp.execute('xen-save-devices-state', { filename: this.#file, live: false }),
    );
  }

  /** Lets the devices go on: before the vCPUs, whose accesses would be lost. Errors: CAPTURE_FAILED. */
  goOn(): void {
    this.#ask('go on', (qmp) => qmp.execute('cont'));
  }

  /** The body of libxl's record for the state that was saved last. Errors: CAPTURE_FAILED. */
  takeState(): Uint8Array {
    try {
      const state = readFileSync(this.#file);
      const body = new Uint8Array(8 + state.length);
      dataView(body).setUint32(0, EMULATOR.id, true);
      dataView(body).setUint32(4, EMULATOR.index, true);
      body.set(state, 8);
      if (state.length === 0) throw new Error(`${this.#file} is empty`);
      return body;
    } catch (cause) {
      throw refused('save its state', cause);
    } finally {
      rmSync(this.#file, { force: true });
    }
  }

  /** Ends the connection. */
  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #ask<T>(what: string, question: (qmp: QmpConnection) => T): T {
    try {
      this.#connection ??= QmpConnection.now(this.#calls, this.#socket, ANSWER_MS);
      return question(this.#connection);
    } catch (cause) {
      this.close();
      throw refused(what, cause);
    }
  }
}

/**
 * For whoever resumes a guest whose captor has died or stalls, which may hold the other socket: lets the devices go
 * on. Errors: CAPTURE_FAILED.
 */
export function rescueDeviceModel(calls: SocketCalls, domid: number): void {
  askBeside(calls, domid, 'go on', (qmp) => qmp.execute('cont'));
}

/**
 * The same for the log of its writes, which nobody reads any more; what stands goes on as well when it ends. Errors:
 * CAPTURE_FAILED.
 */
export function logWritesBeside(calls: SocketCalls, domid: number, enable: boolean): void {
  askBeside(calls, domid, enable ? 'log its writes' : 'end the log of its writes', (qmp) => {
    if (!enable) qmp.execute('cont');
    qmp.execute('xen-set-global-dirty-log', { enable });
  });
}

/** Asks over the toolstack's own socket. A domain without a device model is not asked. */
function askBeside(
  calls: SocketCalls,
  domid: number,
  what: string,
  question: (qmp: QmpConnection) => unknown,
): void {
  if (!existsSync(socketOf(domid, 'libxl'))) return;
  let qmp: QmpConnection | undefined;
  try {
    qmp = QmpConnection.now(calls, socketOf(domid, 'libxl'), ANSWER_MS);
    question(qmp);
  } catch (cause) {
    throw refused(what, cause);
  } finally {
    qmp?.close();
  }
}
