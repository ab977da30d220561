import { isFitdocError, type FitdocError, type Json, type Progress } from '@fitdoc/interface';
import pc from 'picocolors';
import { theOutputs } from './outputs.js';
import { bytes, count, time } from './units.js';

/** Milliseconds before a progress line appears, and between two updates of it. */
const PROGRESS_DELAY_MS = 1000;
const PROGRESS_EVERY_MS = 200;

/**
 * Everything that the command prints. Results go to stdout, for people or as JSON; progress, notes and errors
 * go to stderr, progress only when that is a terminal.
 */
export class Terminal {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly #outputs = theOutputs();
  #progressShown = false;
  #progressStarted = 0;
  #progressLast = 0;

  constructor(options: { readonly json?: boolean; readonly quiet?: boolean }) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
  }

  /** A line of the result, for people. Not printed in JSON mode. */
  line(text = ''): void {
    if (this.json) return;
    this.#clearProgress();
    this.#result(text);
  }

  /** The whole result as one JSON document, or one line of JSON Lines. Printed in JSON mode only. */
  data(value: unknown): void {
    if (this.json) this.#result(JSON.stringify(value, jsonValue));
  }

  /** Something worth knowing that is not the result. */
  note(text: string): void {
    if (this.json) {
      this.data({ message_type: 'status', message: text });
    } else if (!this.quiet) {
      this.#clearProgress();
      this.#outputs.err(`${text}\n`);
    }
  }

  /** Where the guest stands, which is no failure: an error's words without its form. */
  state({ code, message, hint, details }: FitdocError): void {
    if (this.json) this.data({ message_type: 'status', code, message, ...(hint && { hint }), details });
    else this.note(hint === undefined ? message : `${message} ${hint}`);
  }

  /** A note on standard error in JSON mode, too: for commands that print one document. */
  aside(text: string): void {
    if (!this.json) return this.note(text);
    if (!this.quiet) process.stderr.write(`${text}\n`);
  }

  /** A moment within a note: local for people, UTC in JSON. */
  time(ms: number): string {
    return this.json ? new Date(ms).toISOString() : time(ms);
  }

  readonly progress = (progress: Progress): void => {
    if (this.json || this.quiet || !process.stderr.isTTY) return;
    const now = performance.now();
    if (this.#progressStarted === 0) this.#progressStarted = now;
    if (now - this.#progressStarted < PROGRESS_DELAY_MS || now - this.#progressLast < PROGRESS_EVERY_MS)
      return;
    this.#progressLast = now;
    this.#progressShown = true;
    this.#outputs.err(`\r\u001b[K${progressText(progress)}`);
  };

  error(error: unknown): void {
    this.#clearProgress();
    const { code, message, hint, details } = describe(error);
    if (this.json) {
      this.data({ message_type: 'error', code, message, ...(hint && { hint }), ...(details && { details }) });
      return;
    }
    this.#outputs.err(`${pc.red('fitdoc:')} ${message}${code ? pc.dim(` [${code}]`) : ''}\n`);
    if (hint) this.#outputs.err(`${hint}\n`);
  }

  #result(text: string): void {
    const leftOut = this.#outputs.takeLeftOut();
    const message = `${leftOut} line(s) were left out here: nobody read them`;
    const told = this.json ? JSON.stringify({ message_type: 'status', message }) : message;
    if (leftOut > 0) this.#outputs.out(`${told}\n`);
    this.#outputs.out(`${text}\n`);
  }

  #clearProgress(): void {
    if (this.#progressShown) this.#outputs.err('\r\u001b[K');
    this.#progressShown = false;
  }
}

function progressText({ phase, done, total, unit }: Progress): string {
  const show = (value: number): string => (unit === 'bytes' ? bytes(value) : `${count(value)} ${unit}`);
  if (total === undefined) return `${phase}: ${show(done)}`;
  const part = total === 0 ? 100 : Math.floor((done / total) * 100);
  return `${phase}: ${show(done)} of ${show(total)} (${part} %)`;
}

interface Described {
  readonly code?: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A FitdocError says what to do next; anything else is a defect of ours, and its stack is what helps. */
function describe(error: unknown): Described {
  if (isFitdocError(error)) {
    const { code, message, hint, details } = error;
    const shown = Object.keys(details).length > 0 ? { details } : {};
    return { code, message, ...(hint !== undefined && { hint }), ...shown };
  }
  return { message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function jsonValue(_key: string, value: unknown): Json {
  return (typeof value === 'bigint' ? Number(value) : value) as Json;
}
