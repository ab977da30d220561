import { spawn, type ChildProcess } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { emulatorParameters } from './emulator.js';
import { installXen } from './install.js';
import type { XenRelease } from './packages.js';
import { cacheFolder } from './paths.js';
import { hasProgram } from './run.js';
import { freePort, prepareSsh, SSH_CONFIG } from './ssh.js';

export interface XenHostOptions {
  /** Default 4.17, which Debian 12 has. */
  readonly release?: XenRelease;
  /** Memory of the emulated machine, MiB. Default 2048. */
  readonly memory?: number;
  /** Memory of dom0, MiB. Default 1024. */
  readonly dom0Memory?: number;
  readonly log?: (line: string) => void;
  /** How long to wait for dom0. Default 180 s. */
  readonly bootTimeoutMs?: number;
}

export interface JobResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A real Xen with a Debian dom0, in QEMU without hardware virtualization. */
export class XenHost {
  /** The folder that dom0 sees as `/host`. */
  readonly shared: string;
  readonly #folder: string;
  readonly #process: ChildProcess | undefined;
  #jobs = 0;

  private constructor(folder: string, child?: ChildProcess) {
    this.#folder = folder;
    this.shared = join(folder, 'shared');
    this.#process = child;
  }

  /** Installs what is missing, boots, and resolves when dom0 takes jobs. Always `stop` it. */
  static async start(options: XenHostOptions = {}): Promise<XenHost> {
    const files = await installXen(options.release ?? '4.17', options.log);
    const folder = mkdtempSync(join(cacheFolder('runs'), 'run-'));
    mkdirSync(join(folder, 'shared/jobs'), { recursive: true });
    const sshPort = await freePort();
    prepareSsh(folder, sshPort);
    const parameters = emulatorParameters({
      files,
      folder,
      sshPort,
      memory: options.memory ?? 2048,
      dom0Memory: options.dom0Memory ?? 1024,
    });
    // The emulator must not outlive a test runner that was killed.
    const guard = hasProgram('setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];
    const [program, ...rest] = [...guard, 'qemu-system-x86_64', ...parameters];
    const log = openSync(join(folder, 'qemu.log'), 'w');
    const child = spawn(program!, rest, { stdio: ['ignore', log, log] });
    closeSync(log);
    const host = new XenHost(folder, child);
    try {
      await host.#ready(options.bootTimeoutMs ?? 180_000);
    } catch (error) {
      await host.stop();
      throw error;
    }
    return host;
  }

  /** A host that another process started and keeps. `stop` leaves it alone. */
  static attach(folder: string): XenHost {
    return new XenHost(folder);
  }

  get folder(): string {
    return this.#folder;
  }

  /** Configuration for the ssh client in which dom0 is the host `dom0`, as root: `ssh -F FILE dom0`. */
  get sshConfig(): string {
    return join(this.#folder, SSH_CONFIG);
  }

  console(): string {
    const path = join(this.#folder, 'console.log');
    return existsSync(path) ? readFileSync(path, 'latin1') : '';
  }

  async #ready(timeoutMs: number): Promise<void> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const text = this.console();
      if (text.includes('LAB-READY')) return;
      const broken =
        /Panic on CPU|Hardware Dom0 crashed|LAB-FAILED/.test(text) || this.#process?.exitCode !== null;
      if (broken || Date.now() > end) {
        const emulator = readFileSync(join(this.#folder, 'qemu.log'), 'utf8');
        throw new Error(`Xen did not come up:\n${emulator}\n${text.slice(-1500)}`);
      }
      await sleep(200);
    }
  }

  /** Runs a shell script in dom0 to its end. Jobs may overlap. */
  async run(script: string, options: { timeoutMs?: number } = {}): Promise<JobResult> {
    const base = join(this.shared, 'jobs', `${process.pid}-${++this.#jobs}`);
    writeFileSync(`${base}.tmp`, `${script}\n`);
    renameSync(`${base}.tmp`, `${base}.sh`);
    const end = Date.now() + (options.timeoutMs ?? 120_000);
    const part = (name: string) =>
      existsSync(`${base}.${name}`) ? readFileSync(`${base}.${name}`, 'utf8') : '';
    while (!existsSync(`${base}.rc`)) {
      if (Date.now() > end || (this.#process && this.#process.exitCode !== null)) {
        throw new Error(`A job in dom0 did not end: ${script.slice(0, 300)}\n${part('out')}\n${part('err')}`);
      }
      await sleep(50);
    }
    return { code: Number(part('rc')), out: part('out'), err: part('err') };
  }

  /** Like `run`; throws when the script fails. Gives its output. */
  async must(script: string, options: { timeoutMs?: number } = {}): Promise<string> {
    const result = await this.run(script, options);
    if (result.code !== 0) {
      throw new Error(
        `In dom0, "${script.slice(0, 300)}" ended with ${result.code}:\n${result.out}\n${result.err}`,
      );
    }
    return result.out;
  }

  /** Ends the emulator and removes its files. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#process) return;
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
