import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import {
  CHUNK,
  CHUNK_DONE,
  CHUNK_ERROR,
  COMMAND,
  GREETING,
  HANDSHAKE,
  INFO,
  OPTION,
  OPTION_REPLY,
  STRUCTURED_REPLY_MAGIC,
  uint32,
} from '../protocol.js';
import { counted, optionBytes, requestBytes } from './requests.js';
import { SocketReader } from './socket-reader.js';

/** What the server says of a run of bytes; what the flags mean is the context's affair. */
export interface StatusExtent {
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
}

interface Call {
  readonly offset: number;
  /** What a read fills in. */
  readonly into: Buffer;
  readonly status: StatusExtent[];
  error: Error | undefined;
  resolve(): void;
  reject(error: Error): void;
}

export interface NbdOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the server may send nothing while it owes something, milliseconds. */
  readonly timeoutMs: number;
}

/** Most bytes that one question for the status is about. */
const STATUS_BYTES = 2 ** 30;

/**
 * Reads an export of an NBD server over a unix socket: fixed newstyle, structured replies, one metadata context.
 * Requests may be under way at once. Errors of the connection and of the server are plain Errors; a server that sends
 * nothing for too long ends the connection.
 */
export class NbdClient {
  /** Bytes of the export. */
  size = 0;
  private readonly reader: SocketReader;
  private readonly calls = new Map<number, Call>();
  private cookie = 0;
  private ended: Error | undefined;
  /** Whether the export was agreed on. */
  private ready = false;
  /** Looks in a row that found nothing of what is owed. */
  private silences = 0;

  private constructor(
    private readonly socket: Socket,
    timeoutMs: number,
  ) {
    this.reader = new SocketReader(socket);
    this.watch(timeoutMs);
    socket.on('error', (error) => this.end(error));
    socket.on('close', () => this.end(new Error('the connection to the NBD server was closed')));
  }

  /** Connects to the export `name` and selects `context`, which the server must have. Gives up when told to. */
  static async connect(
    path: string,
    name: string,
    context: string,
    { signal, timeoutMs }: NbdOptions,
  ): Promise<NbdClient> {
    const socket = connect(path);
    const client = new NbdClient(socket, timeoutMs);
    const stop = (): void => client.close();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await once(socket, 'connect', signal ? { signal } : {});
      await client.negotiate(name, context);
      client.ready = true;
      void client.receive().catch((error: unknown) => client.end(error as Error));
      return client;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return (await this.call(COMMAND.read, offset, length, Buffer.allocUnsafe(length))).into;
  }

  /** The status from one byte to before another, by default of all of the export, in order and without gaps. */
  async *status(from = 0, to = this.size): AsyncGenerator<StatusExtent> {
    for (let at = from; at < to;) {
      const length = Math.min(STATUS_BYTES, to - at);
      const { status } = await this.call(COMMAND.blockStatus, at, length, Buffer.alloc(0));
      const before = at;
      for (const extent of status) {
        yield extent;
        at = extent.offset + extent.length;
      }
      if (at <= before) throw new Error('the NBD server told no status');
    }
  }

  close(): void {
    if (!this.socket.destroyed) this.socket.write(requestBytes(COMMAND.disconnect, 0, 0, 0));
    this.socket.end();
    this.end(new Error('the connection to the NBD server was closed'));
    this.socket.destroySoon();
  }

  /** Looks twice: bytes that came while this process stood are read between the looks. */
  private watch(timeoutMs: number): void {
    this.socket.on('data', () => (this.silences = 0));
    this.socket.on('timeout', () => {
      if (this.owed() && ++this.silences === 2)
        this.socket.destroy(new Error(`the NBD server sent nothing for ${timeoutMs} ms`));
      else this.socket.setTimeout(timeoutMs / 2);
    });
    this.socket.setTimeout(timeoutMs / 2);
  }

  private owed(): boolean {
    return !this.ready || this.calls.size > 0;
  }

  private async negotiate(name: string, context: string): Promise<void> {
    const greeting = await this.reader.take(18);
    if (greeting.toString('latin1', 0, 16) !== GREETING) throw new Error('no NBD server answers there');
    this.socket.write(uint32(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes));
    await this.option(OPTION.structuredReply, Buffer.alloc(0));
    const wanted = Buffer.concat([counted(name), uint32(1), counted(context)]);
    const contexts = await this.option(OPTION.setMetaContext, wanted);
    if (contexts.length !== 1) throw new Error(`the NBD server does not know ${context}`);
    const infos = await this.option(OPTION.go, Buffer.concat([counted(name), Buffer.alloc(2)]));
    const found = infos.find((info) => info.readUInt16BE(0) === INFO.export);
    if (!found) throw new Error('the NBD server told no size');
    this.size = Number(found.readBigUInt64BE(2));
  }

  /** What the server answers to an option before its acknowledgement. */
  private async option(option: number, data: Uint8Array): Promise<Buffer[]> {
    this.socket.write(optionBytes(option, data));
    const answers: Buffer[] = [];
    for (;;) {
      const head = await this.reader.take(20);
      const type = head.readUInt32BE(12);
      const body = Buffer.from(await this.reader.take(head.readUInt32BE(16)));
      if (type === OPTION_REPLY.ack) return answers;
      if (type !== OPTION_REPLY.info && type !== OPTION_REPLY.metaContext)
        throw new Error(`the NBD server refuses option ${option}: ${body.toString()}`);
      answers.push(body);
    }
  }

  private async call(command: number, offset: number, length: number, into: Buffer): Promise<Call> {
    if (this.ended) throw this.ended;
    const cookie = ++this.cookie;
    let call: Call | undefined;
    await new Promise<void>((resolve, reject) => {
      call = { offset, into, status: [], error: undefined, resolve, reject };
      this.calls.set(cookie, call);
      this.socket.write(requestBytes(command, cookie, offset, length));
    });
    return call!;
  }

  private async receive(): Promise<void> {
    for (;;) {
      const head = await this.reader.take(20);
      if (head.readUInt32BE(0) !== STRUCTURED_REPLY_MAGIC)
        throw new Error('the NBD server answers in disorder');
      const flags = head.readUInt16BE(4);
      const type = head.readUInt16BE(6);
      const cookie = Number(head.readBigUInt64BE(8));
      const call = this.calls.get(cookie);
      if (!call) throw new Error('the NBD server answers what was not asked');
      const body = await this.reader.take(head.readUInt32BE(16));
      takeChunk(call, type, body);
      if ((flags & CHUNK_DONE) === 0) continue;
      this.calls.delete(cookie);
      if (call.error) call.reject(call.error);
      else call.resolve();
    }
  }

  private end(error: Error): void {
    this.ended ??= error;
    for (const call of this.calls.values()) call.reject(this.ended);
    this.calls.clear();
    this.socket.destroySoon();
  }
}

function takeChunk(call: Call, type: number, body: Buffer): void {
  if ((type & CHUNK_ERROR) !== 0) {
    const text = body.toString('utf8', 6, 6 + body.readUInt16BE(4));
    call.error = new Error(`the NBD server failed: ${text || `error ${body.readUInt32BE(0)}`}`);
  } else if (type === CHUNK.data) {
    body.copy(call.into, Number(body.readBigUInt64BE(0)) - call.offset, 8);
  } else if (type === CHUNK.hole) {
    const at = Number(body.readBigUInt64BE(0)) - call.offset;
    call.into.fill(0, at, at + body.readUInt32BE(8));
  } else if (type === CHUNK.blockStatus) {
    let { offset } = call;
    for (let at = 4; at < body.length; at += 8) {
      const length = body.readUInt32BE(at);
      call.status.push({ offset, length, flags: body.readUInt32BE(at + 4) });
      offset += length;
    }
  }
}
