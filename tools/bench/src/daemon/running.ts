import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const COMMAND = path.resolve(import.meta.dirname, '../../../../apps/daemon/dist/main.js');

/** What the figures need of the daemon's answer about a machine. */
export interface MachineFigures {
  readonly name: string;
  readonly state: string;
  readonly checkpoints: number;
  readonly failures: number;
  readonly missed: number;
  readonly memoryBytes?: number;
  readonly imageBytes?: number;
}

/** A daemon that protects mock machines into a directory. */
export class BenchDaemon {
  readonly #folder: string;
  #child: ChildProcess | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async configure(machines: string): Promise<void> {
    const text = `[daemon]
socket = "${this.#folder}/d.sock"
state = "${this.#folder}/state"
[repositories.local]
location = "${this.#folder}/repository"
create = true
${machines}`;
    await writeFile(path.join(this.#folder, 'fitdocd.toml'), text);
  }

  start(): void {
    this.#child = spawn(
      process.execPath,
      [COMMAND, 'run', '--config', path.join(this.#folder, 'fitdocd.toml')],
      {
        stdio: 'ignore',
      },
    );
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Bytes of memory that the process has in use (VmRSS). */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.#child?.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  /** The machines as the daemon shows them; none while it does not answer. */
  machines(): Promise<MachineFigures[]> {
    return new Promise((resolve) => {
      const request = http.get(
        { socketPath: path.join(this.#folder, 'd.sock'), path: '/v1/machines' },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => (text += chunk));
          answer.on('end', () => resolve(machinesIn(text)));
        },
      );
      request.on('error', () => resolve([]));
    });
  }

  /** Waits until the machines satisfy `enough`. */
  async until(
    enough: (machines: readonly MachineFigures[]) => boolean,
    limitMs = 120_000,
  ): Promise<MachineFigures[]> {
    const end = Date.now() + limitMs;
    for (;;) {
      const machines = await this.machines();
      if (enough(machines)) return machines;
      if (Date.now() > end) throw new Error(`not reached in ${limitMs} ms: ${JSON.stringify(machines)}`);
      await sleep(20);
    }
  }
}

function machinesIn(text: string): MachineFigures[] {
  const answer = JSON.parse(text) as MachineFigures[] | { machines?: MachineFigures[] };
  return Array.isArray(answer) ? answer : (answer.machines ?? []);
}
