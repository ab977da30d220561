import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { FitdocError } from '@fitdoc/interface';
import type { XenLibraries } from '../xen/libraries.js';

/** The guard process, seen from the process that it guards against: one for all domains. */
class GuardProcess {
  readonly #child: ChildProcess;
  readonly #answers: ((line: string | undefined) => void)[] = [];

  constructor(libraries: XenLibraries) {
    const script = fileURLToPath(new URL('./guard.js', import.meta.url));
    // In a session of its own: a signal to this process's group must not take the guard with it.
    const child = spawn(process.execPath, [script, JSON.stringify(libraries)], {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    });
    this.#child = child;
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => this.#answers.shift()?.(line));
    child.on('error', () => this.#lost());
    child.on('exit', () => this.#lost());
    // It ends with this process, and must not keep it from ending.
    child.unref();
    (child.stdin as Socket).unref();
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  /** Resolves when the guard has begun to listen. Errors: CAPTURE_FAILED. */
  async ready(): Promise<this> {
    await this.#answer();
    return this;
  }

  /** Resolves when the guard has done what the line says. Errors: CAPTURE_FAILED. */
  async tell(line: string): Promise<void> {
    this.#child.stdin!.write(`${line}\n`);
    await this.#answer();
  }

  async #answer(): Promise<void> {
    const output = this.#child.stdout as Socket;
    const line =
      this.alive &&
      (await new Promise<string | undefined>((done) => {
        output.ref();
        this.#answers.push(done);
      }));
    if (this.#answers.length === 0) output.unref();
    if (line) return;
    throw new FitdocError(
      'CAPTURE_FAILED',
      'The process that guards the guest against a lasting pause is gone.',
      { hint: 'Capture again: a new one is started. Without it no guest is suspended.', retryable: true },
    );
  }

  #lost(): void {
    for (const answer of this.#answers.splice(0)) answer(undefined);
  }
}

let running: Promise<GuardProcess> | undefined;

async function aliveOrNew(
  last: Promise<GuardProcess> | undefined,
  libraries: XenLibraries,
): Promise<GuardProcess> {
  const known = await last?.catch(() => undefined);
  return known?.alive ? known : await new GuardProcess(libraries).ready();
}

/** The guard of this process, started if there is none. */
function guardProcess(libraries: XenLibraries): Promise<GuardProcess> {
  // Each call waits for the one before, so that two at once do not start two.
  running = aliveOrNew(running, libraries);
  return running;
}

/** What resumes one domain should this process die or stall in a pause. */
export class DomainGuard {
  readonly #libraries: XenLibraries;
  readonly #domid: number;
  readonly #limitMs: number;

  /** Starts the guard process, if there is none, so that it is there when the first pause comes. */
  constructor(libraries: XenLibraries, domid: number, limitMs: number) {
    this.#libraries = libraries;
    this.#domid = domid;
    this.#limitMs = limitMs;
    void guardProcess(libraries).catch(() => {});
  }

  /**
   * Resolves when the guard watches; without it no guest may be suspended. What it resumes after `limitMs` it
   * resumes with the monitors that were halted for the pause. Errors: CAPTURE_FAILED.
   */
  async arm(monitors: readonly number[] = [], limitMs = this.#limitMs): Promise<void> {
    const guard = await guardProcess(this.#libraries);
    await guard.tell(`arm ${this.#domid} ${limitMs} ${monitors.join(',')}`);
  }

  /** The guest runs again. */
  async disarm(): Promise<void> {
    await this.#tellIfThere('idle');
  }

  /** This process has let go of the domain. */
  async forget(): Promise<void> {
    await this.#tellIfThere('forget');
  }

  // A guard that is gone watches nothing any more.
  async #tellIfThere(word: string): Promise<void> {
    const guard = await running?.catch(() => undefined);
    if (guard?.alive) await guard.tell(`${word} ${this.#domid}`).catch(() => {});
  }
}
