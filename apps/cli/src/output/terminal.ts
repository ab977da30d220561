import { isFitdocError, type Json, type Progress } from '@fitdoc/interface';
import pc from 'picocolors';
import { bytes, count } from './units.js';

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
    process.stdout.write(`${text}\n`);
  }

  /** The whole result as one JSON document, or one line of JSON Lines. Printed in JSON mode only. */
  data(value: unknown): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value, jsonValue)}\n`);
  }

  /** Something worth knowing that is not the result. */
  note(text: string): void {
    if (this.json) {
      this.data({ message_type: 'status', message: text });
    } else if (!this.quiet) {
      this.#clearProgress();
      process.stderr.write(`${text}\n`);
    }
  }

  readonly progress = (progress: Progress): void => {
    if (this.json || this.quiet || !process.stderr.isTTY) return;
    const now = Date.now();
    if (this.#progressStarted === 0) this.#progressStarted = now;
    if (now - this.#progressStarted < PROGRESS_DELAY_MS || now - this.#progressLast < PROGRESS_EVERY_MS)
      return;
    this.#progressLast = now;
    this.#progressShown = true;
    process.stderr.write(`\r\u001b[K${progressText(progress)}`);
  };

  error(error: unknown): void {
    this.#clearProgress();
    const { code, message, hint, details } = describe(error);
    if (this.json) {
      this.data({ message_type: 'error', code, message, ...(hint && { hint }), ...(details && { details }) });
      return;
    }
    process.stderr.write(`${pc.red('fitdoc:')} ${message}${code ? pc.dim(` [${code}]`) : ''}\n`);
    if (hint) process.stderr.write(`${hint}\n`);
  }

  #clearProgress(): void {
    if (this.#progressShown) process.stderr.write('\r\u001b[K');
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
