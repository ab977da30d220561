import {
  FitdocError,
  isFitdocError,
  type CallOptions,
  type Launched,
  type MachineCommand,
  type MachineLook,
  type PortAnswer,
} from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { connectSocket } from '../qmp/socket.js';
import { ActivityWatch } from './activity.js';
import { pingAgent } from '../agent/agent.js';
import { isAlive } from './alive.js';
import { callPort } from './call-port.js';
import type { Composed } from './compose.js';
import type { KeptProcess } from './process.js';

/** How often the end of the process is looked for, milliseconds. */
const LOOK_MS = 200;
const AGENT_MS = 5000;

/** What QEMU tells of that a healthy guest seldom does. */
const HAPPENINGS: Readonly<Record<string, string>> = {
  GUEST_PANICKED: 'panicked',
  GUEST_CRASHLOADED: 'panicked',
  RESET: 'reset',
  SHUTDOWN: 'shutdown',
};

/** A QEMU that was started here. Its one monitor is a restore's first, and ours once somebody looks. */
export class StartedQemu implements Launched {
  readonly location: string;
  readonly pid: number;
  readonly command: MachineCommand;
  readonly notes: readonly string[] = [];
  readonly consoles: readonly string[];
  readonly gone: AbortSignal;
  readonly #composed: Composed;
  readonly #kept: KeptProcess;
  readonly #activity = new ActivityWatch();
  readonly #happened = new Set<string>();
  readonly #ending = new AbortController();
  #monitor: Promise<QmpClient> | undefined;
  #watch: NodeJS.Timeout | undefined;

  private constructor(composed: Composed, kept: KeptProcess) {
    this.#composed = composed;
    this.#kept = kept;
    this.location = composed.qmp;
    this.pid = kept.pid;
    const { words, directory } = composed;
    this.command = { words, ...(directory !== undefined && { directory }) };
    this.consoles = composed.consoles;
    this.gone = this.#ending.signal;
  }

  static of(composed: Composed, kept: KeptProcess): StartedQemu {
    const machine = new StartedQemu(composed, kept);
    machine.#watch = setInterval(() => void machine.#checkAlive(), LOOK_MS).unref();
    return machine;
  }

  async release(): Promise<void> {
    await this.#leave();
    await this.#kept.release();
  }

  async end(): Promise<void> {
    await this.#leave();
    await this.#kept.end();
  }

  async look({ signal }: CallOptions = {}): Promise<MachineLook> {
    const qmp = await this.#qmp(signal);
    const { status, running } = await qmp.execute<{ status: string; running: boolean }>(
      'query-status',
      {},
      { signal },
    );
    const cpus = await this.#activity.look(qmp, signal);
    const happened = [...this.#happened];
    this.#happened.clear();
    return { state: status, running, cpus, happened };
  }

  async screenshot(file: string, { signal }: CallOptions = {}): Promise<boolean> {
    const qmp = await this.#qmp(signal);
    return qmp.execute('screendump', { filename: file, format: 'png' }, { signal }).then(
      () => true,
      (error: unknown) => {
        if (isFitdocError(error, 'PROTOCOL_ERROR')) return false;
        throw error;
      },
    );
  }

  async setLinks(up: boolean, { signal }: CallOptions = {}): Promise<readonly string[]> {
    const qmp = await this.#qmp(signal);
    const names = await networkCards(qmp, signal);
    for (const name of names) await qmp.execute('set_link', { name, up }, { signal });
    return names;
  }

  async run({ signal }: CallOptions = {}): Promise<void> {
    await (await this.#qmp(signal)).execute('cont', {}, { signal });
  }

  async pingAgent({ signal }: CallOptions = {}): Promise<boolean> {
    const { agent } = this.#composed;
    return agent !== undefined && pingAgent(agent, AGENT_MS, signal);
  }

  async callPort(expected?: RegExp, { signal }: CallOptions = {}): Promise<PortAnswer> {
    const { reached } = this.#composed;
    if (reached === undefined) return { taken: false, said: '' };
    return callPort(await this.#qmp(signal), reached, expected, signal);
  }

  /** Only one can have the monitor: it is taken when it is first needed, after the restore. */
  #qmp(signal: AbortSignal | undefined): Promise<QmpClient> {
    this.#monitor ??= connectSocket(this.location, { signal }).then(({ client }) => {
      client.onEvent(({ name, data }) => {
        const happening = HAPPENINGS[name];
        // What an operator does by this monitor is no doing of the guest's.
        if (happening !== undefined && data['guest'] !== false) this.#happened.add(happening);
      });
      return client;
    });
    return this.#monitor.catch((error: unknown) => {
      this.#monitor = undefined;
      throw error;
    });
  }

  async #leave(): Promise<void> {
    clearInterval(this.#watch);
    const monitor = await this.#monitor?.catch(() => undefined);
    this.#monitor = undefined;
    monitor?.close();
  }

  async #checkAlive(): Promise<void> {
    if (this.gone.aborted || isAlive(this.pid)) return;
    clearInterval(this.#watch);
    const said = (await this.#kept.log()).trim().split('\n').slice(-3).join('\n');
    this.#ending.abort(
      new FitdocError('MACHINE_GONE', `QEMU has ended${said === '' ? '' : `: ${said}`}`, {
        hint: 'It said so itself, or its guest powered off.',
      }),
    );
  }
}

/** Names that `set_link` knows: those of the cards, which their back-ends may not have. */
async function networkCards(qmp: QmpClient, signal?: AbortSignal): Promise<string[]> {
  const text = await qmp.execute<string>(
    'human-monitor-command',
    { 'command-line': 'info network' },
    { signal },
  );
  return [...text.matchAll(/^ ?(?:\\ )?(\S+): index=\d+,type=nic,/gm)].map(([, name]) => name!);
}
