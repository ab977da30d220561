import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { Connection } from './connection.js';
import type { NbdEvent } from './events.js';
import type { NbdExport } from './export.js';

/** Where it listens: a unix socket, or a port (0: a free one) of an address. */
export type NbdAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export interface NbdServerOptions {
  readonly exports: readonly NbdExport[];
  /** Connections at a time; each may be owed 32 MiB. Default 16. */
  readonly maxClients?: number;
  /** How long a client may take to choose an export, milliseconds. Default 30 s. */
  readonly handshakeMs?: number;
  readonly onEvent?: (event: NbdEvent) => void;
}

const MAX_CLIENTS = 16;
const HANDSHAKE_MS = 30_000;

/**
 * Serves disks read-only over NBD (doc/proto.md of the NetworkBlockDevice project): fixed newstyle, structured and
 * simple replies, block status by base:allocation. Memory is bounded by what each client may be owed. A client that
 * breaks the protocol loses its connection and nobody else notices.
 */
export class NbdServer {
  readonly #options: NbdServerOptions;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #clients = 0;

  private constructor(options: NbdServerOptions) {
    this.#options = options;
    // Half open: a client that has sent all it wants still gets its answers.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Rejects with what the system says where it cannot listen there. A unix socket is its owner's alone. */
  static async listen(address: NbdAddress, options: NbdServerOptions): Promise<NbdServer> {
    const server = new NbdServer(options);
    // What a guest holds is nobody else's; the socket is made within the call.
    const before = 'path' in address ? process.umask(0o177) : undefined;
    try {
      server.#server.listen(address);
    } finally {
      if (before !== undefined) process.umask(before);
    }
    await once(server.#server, 'listening');
    return server;
  }

  /** The port, where it listens at one. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  /** Connections there are now. */
  get clients(): number {
    return this.#connections.size;
  }

  /** Ends all connections and listens no longer; a unix socket is removed. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all([...this.#connections].map((connection) => connection.close()));
    await closed;
  }

  #accept(socket: Socket): void {
    const { exports, maxClients = MAX_CLIENTS, handshakeMs = HANDSHAKE_MS, onEvent } = this.#options;
    const client = ++this.#clients;
    const tell = (event: NbdEvent): void => onEvent?.(event);
    if (this.#connections.size >= maxClients) {
      socket.destroy();
      tell({ type: 'refused', client, reason: `there are ${maxClients} already` });
      return;
    }
    const connection = new Connection(socket, { client, exports, handshakeMs, tell });
    this.#connections.add(connection);
    void connection.serve().finally(() => this.#connections.delete(connection));
  }
}
