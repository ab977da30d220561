import { sendDatagram } from './binding.js';

/** Tells systemd where the daemon stands; does nothing where no NOTIFY_SOCKET is set. See sd_notify(3). */
export class Notifier {
  readonly #socket: string | undefined;
  readonly #onError: (error: unknown) => void;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(environment: NodeJS.ProcessEnv, onError: (error: unknown) => void) {
    this.#socket = environment['NOTIFY_SOCKET'] || undefined;
    this.#onError = onError;
    // A hook must not speak in the daemon's name.
    delete environment['NOTIFY_SOCKET'];
  }

  ready(status: string): void {
    this.#send(`READY=1\nSTATUS=${status}`);
  }

  reloading(): void {
    const microseconds = process.hrtime.bigint() / 1000n;
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${microseconds}`);
  }

  stopping(): void {
    this.#send('STOPPING=1');
  }

  /** Says at half the asked interval that the event loop turns, where systemd asks this process to. */
  startWatchdog(environment: NodeJS.ProcessEnv): void {
    const microseconds = Number(environment['WATCHDOG_USEC']);
    const owner = environment['WATCHDOG_PID'];
    if (!(microseconds > 0) || (owner !== undefined && Number(owner) !== process.pid)) return;
    this.#watchdog = setInterval(() => this.#send('WATCHDOG=1'), microseconds / 2000);
    this.#watchdog.unref();
  }

  close(): void {
    clearInterval(this.#watchdog);
  }

  #send(message: string): void {
    if (this.#socket === undefined) return;
    try {
      if (!sendDatagram(this.#socket, message)) throw new Error('the message was not taken');
    } catch (error) {
      this.#onError(error);
    }
  }
}
