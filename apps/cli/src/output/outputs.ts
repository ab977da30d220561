import { EXIT } from '../exit-codes.js';

/** Bytes that may wait for a reader that does not read; what comes beyond them is left out, and that is said. */
const MOST_WAITING = 16 << 20;

/** Why results cannot be written any more. */
export interface LostOutput {
  /** The system's name for it: EPIPE when the reader has gone, ENOSPC on a full disk. */
  readonly errno: string;
  readonly message: string;
}

/** A reader that ended early, or a terminal that was closed, is no failure that anybody needs to read of. */
const GONE = ['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED'];

/**
 * The process's two outputs, which may be pipes whose reader ends or sleeps, full devices or terminals that are
 * closed or held. Nothing here blocks, throws or ends the process: a guest may stand while we write.
 */
export class Outputs {
  #lost: LostOutput | undefined;
  #leftOut = 0;
  readonly #listeners = new Set<() => void>();

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => this.#lose(error));
    // Without a place for complaints they are of no use to anybody.
    process.stderr.on('error', () => undefined);
    for (const stream of [process.stdout, process.stderr]) unblock(stream);
  }

  /** Results. */
  out(text: string): void {
    if (this.#lost) return;
    if (process.stdout.writableLength > MOST_WAITING) {
      this.#leftOut++;
      return;
    }
    process.stdout.write(text);
  }

  /** Notes, progress and errors. */
  err(text: string): void {
    if (process.stderr.writableLength <= MOST_WAITING) process.stderr.write(text);
  }

  /** Lines of results that were left out since this was last asked, because nobody read. */
  takeLeftOut(): number {
    if (process.stdout.writableLength > MOST_WAITING / 2) return 0;
    const count = this.#leftOut;
    this.#leftOut = 0;
    return count;
  }

  /** Calls back when results can be written no more, at once when that is so; gives the function to stop. */
  onLost(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#lost) listener();
    return () => this.#listeners.delete(listener);
  }

  /** The exit code of a process whose results were lost: as if SIGPIPE had ended it, or a failure. */
  get exitCode(): number | undefined {
    if (!this.#lost) return undefined;
    return GONE.includes(this.#lost.errno) ? EXIT.readerGone : EXIT.failed;
  }

  #lose({ code, message }: NodeJS.ErrnoException): void {
    if (this.#lost) return;
    this.#lost = { errno: code ?? '', message };
    process.exitCode = this.exitCode;
    if (!GONE.includes(this.#lost.errno)) this.err(`fitdoc: the results cannot be written: ${message}\n`);
    for (const listener of this.#listeners) listener();
  }
}

/** Node lets terminals block the whole process while somebody holds them (Ctrl-S). */
function unblock(stream: NodeJS.WriteStream): void {
  const handle = (stream as { _handle?: { setBlocking?: (blocking: boolean) => unknown } })._handle;
  if (stream.isTTY) handle?.setBlocking?.(false);
}

let outputs: Outputs | undefined;

/** The one there is: made before anything is printed. */
export function theOutputs(): Outputs {
  return (outputs ??= new Outputs());
}
