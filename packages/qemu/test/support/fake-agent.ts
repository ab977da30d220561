import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How a fake agent behaves. */
export interface Manners {
  /** Commands that it never answers. */
  readonly silentOn?: readonly string[];
  /** Commands that it refuses. */
  readonly refuses?: readonly string[];
  readonly frozen?: boolean;
  /** What it still has to say to a client before. */
  readonly stale?: string;
}

interface Command {
  readonly execute: string;
  readonly arguments?: { readonly id?: number };
}

/** A guest agent at the socket of its channel, as QEMU's documentation describes it: one client at a time. */
export class FakeAgent {
  readonly calls: string[] = [];
  frozen: boolean;
  private readonly server: Server;

  private constructor(
    private readonly folder: string,
    public manners: Manners,
  ) {
    this.frozen = manners.frozen === true;
    this.server = createServer((socket) => this.serve(socket));
  }

  static async start(manners: Manners = {}): Promise<FakeAgent> {
    const agent = new FakeAgent(await mkdtemp(join(tmpdir(), 'fitdoc-agent-')), manners);
    await new Promise<void>((resolve) => agent.server.listen(agent.path, resolve));
    return agent;
  }

  get path(): string {
    return join(this.folder, 'agent.sock');
  }

  /** How often a command came. */
  count(command: string): number {
    return this.calls.filter((call) => call === command).length;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve));
    await rm(this.folder, { recursive: true });
  }

  private serve(socket: Socket): void {
    socket.on('error', () => undefined);
    if (this.manners.stale !== undefined) socket.write(this.manners.stale);
    let text = '';
    socket.on('data', (chunk) => {
      const lines = (text + chunk.toString('latin1')).split('\n');
      text = lines.pop()!;
      for (const line of lines) this.obey(socket, JSON.parse(line.replace(/^\u00ff/, '')) as Command);
    });
  }

  private obey(socket: Socket, { execute, arguments: { id } = {} }: Command): void {
    this.calls.push(execute);
    const { silentOn = [], refuses = [] } = this.manners;
    const say = (value: object, first = ''): boolean =>
      socket.write(Buffer.from(`${first}${JSON.stringify(value)}\n`, 'latin1'));
    if (silentOn.includes(execute)) return;
    if (refuses.includes(execute))
      return void say({ error: { class: 'GenericError', desc: 'the command has been disabled' } });
    if (execute === 'guest-sync-delimited') return void say({ return: id }, '\u00ff');
    if (execute === 'guest-fsfreeze-status') return void say({ return: this.frozen ? 'frozen' : 'thawed' });
    this.frozen = execute === 'guest-fsfreeze-freeze';
    say({ return: 2 });
  }
}
