import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The processes of one cluster, started in the foreground and ended together. */
export class Daemons {
  readonly #children: ChildProcess[] = [];
  readonly #directory: string;
  readonly #onExit = (): void => this.#children.forEach((child) => child.kill('SIGKILL'));

  constructor(directory: string) {
    this.#directory = directory;
    process.once('exit', this.#onExit);
  }

  /** Starts a daemon. The kernel kills it when this process ends, however it ends. */
  start(command: string, args: readonly string[], environment: NodeJS.ProcessEnv): void {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, '-f', ...args], {
      cwd: this.#directory,
      env: environment,
      stdio: 'ignore',
    });
    this.#children.push(child);
  }

  /** Throws, with the ends of the logs, when a daemon is no longer running. */
  async check(): Promise<void> {
    const dead = this.#children.find((child) => child.exitCode !== null || child.signalCode !== null);
    if (!dead) return;
    throw new Error(`${dead.spawnargs[3] ?? 'a daemon'} has ended.\n${await this.#logs()}`);
  }

  async stop(): Promise<void> {
    process.off('exit', this.#onExit);
    // The gateway first: it is the others' client.
    for (const child of [...this.#children].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }

  async #logs(): Promise<string> {
    const folder = join(this.#directory, 'log');
    const tails = (await readdir(folder)).map(async (name) => {
      const lines = (await readFile(join(folder, name), 'utf8')).trim().split('\n');
      return `${name}:\n${lines.slice(-8).join('\n')}`;
    });
    return (await Promise.all(tails)).join('\n');
  }
}
