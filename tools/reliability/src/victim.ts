import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A checkpoint that the victim reported as committed. */
export interface Reported {
  readonly machine: string;
  readonly id: string;
  readonly sequence: number;
  readonly kind: 'base' | 'increment';
}

export interface Trouble {
  readonly machine: string;
  readonly code: string;
  readonly message: string;
}

interface LogLine {
  readonly msg?: string;
  readonly level?: number;
  readonly machine?: string;
  readonly checkpoint?: Omit<Reported, 'machine'>;
  readonly problem?: { readonly code: string; readonly message: string };
}

/** The daemon as built; another command may be given that takes the same configuration and logs the same. */
export const DAEMON: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL('../../../apps/daemon/dist/main.js', import.meta.url)),
];

const living = new Set<ChildProcess>();
process.once('exit', () => living.forEach((child) => child.kill('SIGKILL')));

/**
 * A daemon that is going to be killed. What it reports is what it wrote to its log, whole, before it was: the
 * daemon writes each line before it goes on.
 */
export class Victim {
  readonly reported: Reported[] = [];
  readonly troubles: Trouble[] = [];
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #changes = new EventEmitter<{ change: [] }>();
  #started = false;
  #ended = false;
  #lastLines: string[] = [];

  constructor(configuration: string, command: readonly string[] = DAEMON) {
    const [program = '', ...args] = command;
    this.#child = spawn(program, [...args, 'run', '--config', configuration], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    living.add(this.#child);
    this.#closed = once(this.#child, 'close').then(() => {
      living.delete(this.#child);
      this.#ended = true;
      this.#changes.emit('change');
    });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.#read(line));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits until the daemon has read its configuration and works. */
  async started(timeoutMs: number): Promise<void> {
    await this.until(() => this.#started, 'the start', timeoutMs);
  }

  /** Waits until the condition holds, looking whenever the daemon says something. */
  async until(condition: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (!condition()) {
      if (this.#ended) throw new Error(`the daemon ended by itself before ${what}: ${this.#tail()}`);
      try {
        await once(this.#changes, 'change', { signal });
      } catch (cause) {
        throw new Error(`${what} did not come within ${timeoutMs} ms: ${this.#tail()}`, { cause });
      }
    }
  }

  /** Ends the daemon with SIGKILL, and waits until all that it had written was read. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  #read(line: string): void {
    this.#lastLines = [...this.#lastLines.slice(-7), line];
    let parsed: LogLine;
    try {
      parsed = JSON.parse(line) as LogLine;
    } catch {
      // A kill may cut the last line; the newline that makes it one is then missing for everybody.
      return;
    }
    const { machine, checkpoint, problem } = parsed;
    if (machine !== undefined && checkpoint) this.reported.push({ machine, ...checkpoint });
    else if (machine !== undefined && problem) this.troubles.push({ machine, ...problem });
    if (parsed.msg?.startsWith('protecting ')) this.#started = true;
    this.#changes.emit('change');
  }

  #tail(): string {
    return this.#lastLines.join('\n');
  }
}
