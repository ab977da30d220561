import type { Socket } from 'node:net';
import {
  COMMAND,
  COMMAND_FLAG,
  ERRNO,
  MAX_REQUEST_BYTES,
  REQUEST_BYTES,
  REQUEST_MAGIC,
} from '../protocol.js';
import type { NbdStatus } from './export.js';
import type { Agreement } from './handshake.js';
import { Ended, ProtocolBreach, type Input } from './input.js';
import {
  blockStatus,
  failure,
  nothing,
  simple,
  simpleData,
  sparseData,
  wholeData,
  type Asked,
} from './replies.js';
import { Room } from './room.js';

export interface RequestsOptions {
  /** Aborted when the connection is over. */
  readonly signal: AbortSignal;
  /** Called when a part could not be read. */
  readonly onFailed: (asked: Asked, error: unknown) => void;
  readonly onSent: (bytes: number) => void;
}

interface Request extends Asked {
  readonly command: number;
  readonly flags: number;
}

/** What one client may be owed at a time: a request of the largest size is always among it. */
const OWED = { requests: 128, bytes: MAX_REQUEST_BYTES };
/** Extents in one answer; the client asks for what follows. */
const MAX_EXTENTS = 4096;
/** The largest multiple of a block that 32 bits can tell. */
const MAX_EXTENT_BYTES = 2 ** 32 - 4096;

/** Answers what a client asks for, in any order, until it goes. */
export class Requests {
  private readonly room: Room;

  constructor(
    private readonly socket: Socket,
    private readonly input: Input,
    private readonly agreed: Agreement,
    private readonly options: RequestsOptions,
  ) {
    this.room = new Room(OWED, options.signal);
  }

  /** Ends by Ended or ProtocolBreach. */
  async serve(): Promise<never> {
    for (;;) {
      const request = await this.next();
      if (request.command === COMMAND.disconnect) throw new Ended('it is done');
      const errno = this.refusal(request);
      const owed = errno === 0 && request.command === COMMAND.read ? request.length : 0;
      await this.room.enter(owed);
      void this.answer(request, errno).finally(() => this.room.leave(owed));
    }
  }

  private async next(): Promise<Request> {
    const head = await this.input.take(REQUEST_BYTES);
    if (head.readUInt32BE(0) !== REQUEST_MAGIC) throw new ProtocolBreach('a request is none');
    const [flags, command] = [head.readUInt16BE(4), head.readUInt16BE(6)];
    const offset = head.readBigUInt64BE(16);
    const length = head.readUInt32BE(24);
    if (command === COMMAND.write) {
      // What would be written follows: without reading it nobody knows where the next request begins.
      if (length > MAX_REQUEST_BYTES) throw new ProtocolBreach('it writes more than may be written at once');
      await this.input.skip(length);
    }
    // No disk reaches beyond 2^53: what does is refused as outside, whatever the number.
    const within = offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : Number.MAX_SAFE_INTEGER;
    return { command, flags, cookie: head.readBigUInt64BE(8), offset: within, length };
  }

  /** Why a request is not carried out; 0: it is. */
  private refusal({ command, flags, offset, length }: Request): number {
    const { sizeBytes } = this.agreed.export;
    switch (command) {
      case COMMAND.read:
        if ((flags & ~(this.agreed.structured ? COMMAND_FLAG.dontFragment : 0)) !== 0) return ERRNO.invalid;
        if (length > MAX_REQUEST_BYTES) return ERRNO.overflow;
        break;
      case COMMAND.blockStatus:
        if (!this.agreed.status || (flags & ~COMMAND_FLAG.requestOne) !== 0) return ERRNO.invalid;
        if (length === 0) return ERRNO.invalid;
        break;
      case COMMAND.write:
      case COMMAND.trim:
      case COMMAND.writeZeroes:
        return ERRNO.permission;
      default:
        return ERRNO.invalid;
    }
    return offset + length > sizeBytes ? ERRNO.invalid : 0;
  }

  private async answer(request: Request, errno: number): Promise<void> {
    const { structured } = this.agreed;
    let reply: Buffer;
    try {
      if (errno !== 0) reply = this.failure(request, errno, 'not here, or not like this');
      else if (request.command === COMMAND.blockStatus) reply = await this.status(request);
      else reply = await this.data(request);
    } catch (error) {
      if (this.options.signal.aborted) return;
      this.options.onFailed(request, error);
      const message = error instanceof Error ? error.message : String(error);
      reply = structured ? failure(request.cookie, ERRNO.io, message) : simple(request.cookie, ERRNO.io);
    }
    await this.send(reply);
    if (errno === 0 && request.command === COMMAND.read) this.options.onSent(request.length);
  }

  private failure({ cookie }: Request, errno: number, message: string): Buffer {
    return this.agreed.structured ? failure(cookie, errno, message) : simple(cookie, errno);
  }

  private async data(request: Request): Promise<Buffer> {
    const { structured, export: disk } = this.agreed;
    const { offset, length, flags, cookie } = request;
    if (length === 0) return structured ? nothing(cookie) : simple(cookie, 0);
    const parts = await disk.read(offset, length, { signal: this.options.signal });
    if (!structured) return simpleData(request, parts);
    return (flags & COMMAND_FLAG.dontFragment) === 0 ? sparseData(request, parts) : wholeData(request, parts);
  }

  private async status(request: Request): Promise<Buffer> {
    const { offset, length, flags } = request;
    const found = await this.agreed.export.status(offset, length, { signal: this.options.signal });
    const most = (flags & COMMAND_FLAG.requestOne) === 0 ? MAX_EXTENTS : 1;
    return blockStatus(request, joined(found, length).slice(0, most));
  }

  private async send(reply: Buffer): Promise<void> {
    if (this.socket.destroyed) return;
    // Until the system has it, its bytes are in our memory.
    await new Promise<void>((resolve) => this.socket.write(reply, () => resolve()));
  }
}

/** Neighbours of a kind as one, none longer than 32 bits can tell, together no longer than `length`. */
function joined(extents: readonly NbdStatus[], length: number): NbdStatus[] {
  const found: { length: number; zero: boolean }[] = [];
  let left = length;
  for (const extent of extents) {
    const bytes = Math.min(extent.length, left);
    if (bytes <= 0) break;
    const last = found.at(-1);
    if (last?.zero === extent.zero && last.length + bytes <= MAX_EXTENT_BYTES) last.length += bytes;
    else found.push({ length: bytes, zero: extent.zero });
    left -= bytes;
  }
  return found;
}
