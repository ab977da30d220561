import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { DaemonEvent, JobStatus, MachineStatus, TimelineEntry } from '../../src/model.js';

const COMMAND = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** How long anything may take on a machine that does much else. */
export const PATIENCE_MS = 90_000;

export interface Answer<Body> {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly body: Body;
}

interface RequestOptions {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** TCP instead of the socket. */
  readonly url?: string;
}

/** A folder with everything that a daemon under test has; gone afterwards, its processes too. */
export class Place {
  readonly folder: string;
  /** Where the repository is. */
  repository: string;
  readonly #processes: ChildProcess[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.repository = this.file('repository');
  }

  static async make(): Promise<Place> {
    return new Place(await mkdtemp(path.join(tmpdir(), 'fitdocd-')));
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  get socket(): string {
    return this.file('d.sock');
  }

  /** Writes the configuration: the given machines, in one repository. `more` goes under [daemon]. */
  async configure(machines: string, more = ''): Promise<string> {
    const text = `[daemon]
socket = "${this.socket}"
state = "${this.file('state')}"
workers = 1
${more}
[repositories.local]
location = "${this.repository}"
create = true
${machines}`;
    await writeFile(this.file('fitdocd.toml'), text);
    return this.file('fitdocd.toml');
  }

  start(env: Record<string, string> = {}): Running {
    const child = this.spawn(['run', '--config', this.file('fitdocd.toml')], env);
    return new Running(child, this.socket);
  }

  spawn(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const child = spawn(process.execPath, [COMMAND, ...args], {
      env: { ...process.env, ...env },
      // Where packages of other makers are looked for.
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#processes.push(child);
    return child;
  }

  async remove(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

export type LogLine = Record<string, unknown> & { readonly msg?: string };

/** A daemon that was started, and the ways to look at it. */
export class Running {
  readonly log: LogLine[] = [];
  /** What it printed that is no log line: an error of the start. */
  printed = '';
  #watchers: (() => void)[] = [];

  constructor(
    readonly child: ChildProcess,
    readonly socket: string,
  ) {
    if (!child.stderr) throw new Error('the daemon has no stderr');
    readline.createInterface(child.stderr).on('line', (line) => {
      if (line.startsWith('{')) this.log.push(JSON.parse(line) as LogLine);
      else this.printed += `${line}\n`;
      for (const watcher of this.#watchers) watcher();
    });
    child.once('close', () => {
      for (const watcher of this.#watchers) watcher();
    });
  }

  /** The first log line that fits, now or later. */
  logged(test: (line: LogLine) => boolean): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not logged: ${JSON.stringify(this.log)}`)),
        PATIENCE_MS,
      );
      const look = (): void => {
        const found = this.log.find(test);
        const ended = this.child.exitCode !== null;
        if (!found && !ended) return;
        clearTimeout(timer);
        this.#watchers = this.#watchers.filter((watcher) => watcher !== look);
        if (found) resolve(found);
        else reject(new Error(`the daemon ended: ${this.printed}${JSON.stringify(this.log)}`));
      };
      this.#watchers.push(look);
      look();
    });
  }

  async ready(): Promise<this> {
    await this.logged(({ msg }) => msg?.startsWith('protecting') ?? false);
    return this;
  }

  async exit(): Promise<number | NodeJS.Signals> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    return child.exitCode ?? child.signalCode ?? -1;
  }

  async kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return this.exit();
  }

  async get<Body>(url: string): Promise<Body> {
    const { status, body, text } = await this.request<Body>(url);
    if (status !== 200) throw new Error(`${url}: ${status} ${text}`);
    return body;
  }

  request<Body>(path: string, options: RequestOptions = {}): Promise<Answer<Body>> {
    const { method = 'GET', body, url } = options;
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      ...(payload !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    };
    const common = { method, headers, agent: false };
    return new Promise((resolve, reject) => {
      const onResponse = (response: http.IncomingMessage): void => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('end', () => {
          const json = response.headers['content-type']?.includes('json') ?? false;
          const parsed = (json ? JSON.parse(text) : undefined) as Body;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed });
        });
      };
      const request =
        url === undefined
          ? http.request({ socketPath: this.socket, path, ...common }, onResponse)
          : http.request(new URL(path, url), common, onResponse);
      request.once('error', reject).end(payload);
    });
  }

  machine(name: string): Promise<MachineStatus> {
    return this.get(`/v1/machines/${name}`);
  }

  timeline(name: string): Promise<TimelineEntry[]> {
    return this.get(`/v1/machines/${name}/checkpoints`);
  }

  /** Starts a job and waits for its end. */
  async job(path: string, body?: unknown): Promise<JobStatus> {
    const { status, body: job, text } = await this.request<JobStatus>(path, { method: 'POST', body });
    if (status !== 202) throw new Error(`${path}: ${status} ${text}`);
    return this.ended(job.id);
  }

  ended(id: string): Promise<JobStatus> {
    return this.get(`/v1/jobs/${id}?wait=60`);
  }

  /** Waits on the event stream until a machine's status fits; the stream begins with what is. */
  until(name: string, test: (machine: MachineStatus) => boolean): Promise<MachineStatus> {
    return this.event((event) => {
      return event.type === 'machine' && event.machine.name === name && test(event.machine)
        ? event.machine
        : undefined;
    });
  }

  event<Found>(find: (event: DaemonEvent) => Found | undefined): Promise<Found> {
    return new Promise((resolve, reject) => {
      const seen: DaemonEvent[] = [];
      const request = http.get({ socketPath: this.socket, path: '/v1/events', agent: false }, (response) => {
        const lines = readline.createInterface(response);
        lines.on('error', () => undefined);
        lines.on('line', (line) => {
          if (!line.startsWith('data: ')) return;
          const event = JSON.parse(line.slice(6)) as DaemonEvent;
          seen.push(event);
          const found = find(event);
          if (found === undefined) return;
          clearTimeout(timer);
          request.destroy();
          resolve(found);
        });
      });
      const timer = setTimeout(() => {
        request.destroy();
        reject(new Error(`no such event: ${JSON.stringify(seen.slice(-5))}`));
      }, PATIENCE_MS);
      request.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
    });
  }
}

/** A small machine's section. */
export function mock(name: string, settings = '', query = ''): string {
  return `
[machines.${name}]
location = "mock:${name}?memory=8M&resident=1M&working=512K${query}"
repository = "local"
${settings || 'every = "200ms"'}
`;
}
