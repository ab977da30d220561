import { fstatSync, writeSync } from 'node:fs';
import { pino, type Logger } from 'pino';

/** Bytes that may wait for a reader that does not read; lines beyond them are left out, and that is said. */
const MOST_WAITING = 4 << 20;

/**
 * stderr, which may be a pipe that nobody reads, a full disk or a terminal that somebody holds. A line is handed to
 * the system before the call returns wherever that takes it; nothing here blocks, throws or ends the daemon, for a
 * guest may stand while we write.
 */
export class LogOutput {
  readonly #isFile = fstatSync(2).isFile();
  #leftOut = 0;

  constructor() {
    process.stderr.on('error', () => undefined);
    const handle = (process.stderr as { _handle?: { setBlocking?: (blocking: boolean) => unknown } })._handle;
    if (process.stderr.isTTY) handle?.setBlocking?.(false);
  }

  write(line: string): void {
    if (this.#leftOut > 0 && this.#send(leftOut(this.#leftOut))) this.#leftOut = 0;
    if (this.#leftOut > 0 || !this.#send(line)) this.#leftOut++;
  }

  #send(line: string): boolean {
    if (!this.#isFile) {
      if (process.stderr.writableLength > MOST_WAITING) return false;
      process.stderr.write(line);
      return true;
    }
    try {
      writeSync(2, line);
      return true;
    } catch {
      // A disk that is full may have room again.
      return false;
    }
  }
}

function leftOut(count: number): string {
  const msg = `${count} line(s) were left out here: the log could not be written`;
  return `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, msg })}\n`;
}

/** JSON lines on stderr. */
export function createLogger(level: string): Logger {
  return pino({ level, base: { pid: process.pid } }, new LogOutput());
}
