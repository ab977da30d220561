import type { Socket } from 'node:net';
import type { NbdEvent } from './events.js';
import type { NbdExport } from './export.js';
import { Handshake } from './handshake.js';
import { Ended, Input } from './input.js';
import { Requests } from './requests.js';

export interface ConnectionOptions {
  readonly client: number;
  readonly exports: readonly NbdExport[];
  readonly handshakeMs: number;
  readonly tell: (event: NbdEvent) => void;
}

/** One client, from its first byte to its end. */
export class Connection {
  private readonly over = new AbortController();
  private failure: Error | undefined;
  private bytes = 0;
  private exportName: string | undefined;
  private served: Promise<void> | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly options: ConnectionOptions,
  ) {
    socket.setNoDelay(true);
    socket.on('error', (error) => (this.failure ??= error));
    socket.on('close', () => this.over.abort());
  }

  /** Never rejects; ends with the connection. */
  serve(): Promise<void> {
    return (this.served ??= this.talk());
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.served;
  }

  private async talk(): Promise<void> {
    const { client, tell } = this.options;
    tell({ type: 'connected', client });
    let reason: string | undefined;
    try {
      await this.converse();
    } catch (error) {
      // A connection that is over ends whatever waits for it.
      if (!(error instanceof Ended) && !this.over.signal.aborted)
        reason = error instanceof Error ? error.message : String(error);
    }
    // What was answered is sent; who does not take it is not waited for.
    this.socket.destroySoon();
    reason ??= this.failure?.message;
    const name = this.exportName;
    tell({
      type: 'closed',
      client,
      ...(name !== undefined && { export: name }),
      bytes: this.bytes,
      ...(reason !== undefined && { reason }),
    });
  }

  private async converse(): Promise<never> {
    const { client, exports, handshakeMs, tell } = this.options;
    const input = new Input(this.socket);
    const patience = setTimeout(() => this.socket.destroy(new Error('it chose no export')), handshakeMs);
    const agreed = await new Handshake(this.socket, input, exports)
      .agree()
      .finally(() => clearTimeout(patience));
    const { name } = agreed.export;
    this.exportName = name;
    tell({ type: 'opened', client, export: name });
    return new Requests(this.socket, input, agreed, {
      signal: this.over.signal,
      onFailed: ({ offset, length }, error) =>
        tell({ type: 'failed', client, export: name, offset, length, error }),
      onSent: (bytes) => (this.bytes += bytes),
    }).serve();
  }
}
