import { FitdocError } from '@fitdoc/interface';
import {
  BITMAP_END,
  RETURN_PONG,
  RETURN_RECEIVED_BITMAP,
  RETURN_REQUEST,
  RETURN_REQUEST_NAMED,
  RETURN_RESUME_ACK,
  RETURN_SHUT,
} from '../stream/layout.js';

/** What QEMU says on the return path of a postcopy. */
export type Returned =
  /** It has all; `status` is 0 unless it failed. */
  | { readonly kind: 'shut'; readonly status: number }
  | { readonly kind: 'pong'; readonly value: number }
  /** The guest waits for these bytes of a block. */
  | { readonly kind: 'request'; readonly block: string; readonly offset: number; readonly bytes: number }
  /** One bit a page of a block, the lowest first: set where QEMU has it. */
  | { readonly kind: 'received'; readonly block: string; readonly bitmap: Uint8Array }
  | { readonly kind: 'resumed' };

const HEADER = 4;
/** No block is larger than a guest may be: 4 TiB, a bit for each page of 4 KiB. */
const MAX_BITMAP = 2 ** 27;

/** Takes the return path's bytes apart as they come. Errors: PROTOCOL_ERROR. */
export class ReturnPath {
  private rest: Buffer = Buffer.alloc(0);
  /** Requests without a name are for the block of the last. */
  private block: string | undefined;

  *read(chunk: Uint8Array): Generator<Returned> {
    this.rest = this.rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.rest, chunk]);
    for (;;) {
      const found = this.next();
      if (found === undefined) return;
      yield found;
    }
  }

  private next(): Returned | undefined {
    const { rest } = this;
    if (rest.length < HEADER) return undefined;
    const type = rest.readUInt16BE(0);
    const end = HEADER + rest.readUInt16BE(2);
    if (rest.length < end) return undefined;
    const payload = rest.subarray(HEADER, end);
    if (type === RETURN_RECEIVED_BITMAP) return this.bitmap(nameIn(payload, 0), end);
    this.rest = rest.subarray(end);
    switch (type) {
      case RETURN_SHUT:
        return { kind: 'shut', status: payload.length < 4 ? 0 : payload.readUInt32BE(0) };
      case RETURN_PONG:
        return { kind: 'pong', value: uint32(payload, 0) };
      case RETURN_REQUEST_NAMED:
        this.block = nameIn(payload, 12);
        return this.request(payload);
      case RETURN_REQUEST:
        return this.request(payload);
      case RETURN_RESUME_ACK:
        return { kind: 'resumed' };
      default:
        throw wrong(`a message of type ${type}`);
    }
  }

  private request(payload: Buffer): Returned {
    if (this.block === undefined) throw wrong('a request for a page of no block');
    if (payload.length < 12) throw wrong('a request that is cut off');
    const offset = Number(payload.readBigUInt64BE(0));
    return { kind: 'request', block: this.block, offset, bytes: payload.readUInt32BE(8) };
  }

  /** Size, bitmap and end mark follow the message, beyond the length that it tells. */
  private bitmap(block: string, start: number): Returned | undefined {
    const { rest } = this;
    if (rest.length < start + 8) return undefined;
    const size = Number(rest.readBigUInt64BE(start));
    if (size > MAX_BITMAP) throw wrong(`a bitmap of ${size} bytes`);
    const end = start + 8 + size;
    if (rest.length < end + 8) return undefined;
    if (rest.readBigUInt64BE(end) !== BITMAP_END) throw wrong('a bitmap without its end');
    this.rest = rest.subarray(end + 8);
    return { kind: 'received', block, bitmap: rest.subarray(start + 8, end) };
  }
}

function nameIn(payload: Buffer, at: number): string {
  const length = payload[at];
  if (length === undefined || payload.length < at + 1 + length) throw wrong('a name that is cut off');
  return payload.toString('latin1', at + 1, at + 1 + length);
}

function uint32(payload: Buffer, at: number): number {
  if (payload.length < at + 4) throw wrong('a message that is cut off');
  return payload.readUInt32BE(at);
}

function wrong(what: string): FitdocError {
  return new FitdocError('PROTOCOL_ERROR', `QEMU sent ${what} on the return path of a postcopy.`, {
    hint: 'This QEMU speaks another dialect than those that are known: restore without "lazy".',
  });
}
