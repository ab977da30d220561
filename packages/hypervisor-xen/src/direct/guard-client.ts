import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { FitdocError } from '@fitdoc/interface';
import type { LibraryPaths } from './libraries.js';

/** The guard process, seen from the process that it guards against. */
export class Guard {
  readonly #child: ChildProcess;
  readonly #answers: ((line: string | undefined) => void)[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdin!.on('error', () => {});
    createInterface({ input: child.stdout! }).on('line', (line) => {
      // What it did on its own shows in the domain's state; nobody waits for that line.
      if (line !== 'resumed') this.#answers.shift()?.(line);
    });
    child.on('error', () => this.#lost());
    child.on('exit', () => this.#lost());
  }

  static async start(paths: LibraryPaths, domid: number, limitMs: number): Promise<Guard> {
    const script = fileURLToPath(new URL('./guard.js', import.meta.url));
    const words = [script, String(domid), String(limitMs), JSON.stringify(paths)];
    // In a session of its own: a signal to this process's group must not take the guard with it.
    const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
    const guard = new Guard(child);
    await guard.#answer();
    return guard;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  /** Resolves when the guard watches; without one no guest may be suspended. */
  async arm(): Promise<void> {
    this.#child.stdin!.write('armed\n');
    await this.#answer();
  }

  async disarm(): Promise<void> {
    this.#child.stdin!.write('idle\n');
    await this.#answer();
  }

  async stop(): Promise<void> {
    if (!this.alive) return;
    const exit = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await exit;
  }

  async #answer(): Promise<void> {
    const line = this.alive && (await new Promise<string | undefined>((done) => this.#answers.push(done)));
    if (line) return;
    throw new FitdocError(
      'CAPTURE_FAILED',
      'The process that guards the guest against a lasting pause is gone.',
      {
        hint: 'Attach again; without the guard no guest is suspended.',
      },
    );
  }

  #lost(): void {
    for (const answer of this.#answers.splice(0)) answer(undefined);
  }
}
