import {
  ALLOCATION,
  CHUNK,
  CHUNK_DONE,
  ERRNO,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
  uint32,
} from '../protocol.js';
import type { NbdPart, NbdStatus } from './export.js';

/** What a reply is about. */
export interface Asked {
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
}

/** What stands for block status; the handshake told it. */
const CONTEXT_ID = 1;
const MAX_MESSAGE_BYTES = 1024;

/** A read in one piece, with its zeros. */
export function simpleData({ cookie, offset, length }: Asked, parts: readonly NbdPart[]): Buffer {
  const reply = Buffer.alloc(16 + length);
  simpleHead(reply, cookie, 0);
  for (const { offset: at, bytes } of parts) reply.set(bytes, 16 + at - offset);
  return reply;
}

export function simple(cookie: bigint, errno: number): Buffer {
  const reply = Buffer.alloc(16);
  simpleHead(reply, cookie, errno);
  return reply;
}

/** A read in one chunk, with its zeros. */
export function wholeData({ cookie, offset, length }: Asked, parts: readonly NbdPart[]): Buffer {
  const reply = Buffer.alloc(28 + length);
  head(reply, CHUNK_DONE, CHUNK.data, cookie, 8 + length);
  reply.writeBigUInt64BE(BigInt(offset), 20);
  for (const { offset: at, bytes } of parts) reply.set(bytes, 28 + at - offset);
  return reply;
}

/**
 * A read in chunks: data, and holes between. Copied into one buffer, so that a client that does not take its replies
 * keeps nothing but their bytes, however much lies around them where they come from.
 */
export function sparseData({ cookie, offset, length }: Asked, parts: readonly NbdPart[]): Buffer {
  const pieces: (NbdPart | { readonly offset: number; readonly hole: number })[] = [];
  let next = offset;
  for (const part of parts) {
    if (part.offset > next) pieces.push({ offset: next, hole: part.offset - next });
    if (part.bytes.length > 0) pieces.push(part);
    next = part.offset + part.bytes.length;
  }
  const end = offset + length;
  if (next < end) pieces.push({ offset: next, hole: end - next });
  const size = pieces.reduce((sum, piece) => sum + ('hole' in piece ? 32 : 28 + piece.bytes.length), 0);
  const reply = Buffer.allocUnsafe(size);
  let at = 0;
  pieces.forEach((piece, index) => {
    const flags = index === pieces.length - 1 ? CHUNK_DONE : 0;
    const into = reply.subarray(at);
    if ('hole' in piece) {
      head(into, flags, CHUNK.hole, cookie, 12);
      into.writeUInt32BE(piece.hole, 28);
      at += 32;
    } else {
      head(into, flags, CHUNK.data, cookie, 8 + piece.bytes.length);
      into.set(piece.bytes, 28);
      at += 28 + piece.bytes.length;
    }
    into.writeBigUInt64BE(BigInt(piece.offset), 20);
  });
  return reply;
}

export function blockStatus({ cookie }: Asked, extents: readonly NbdStatus[]): Buffer {
  const reply = Buffer.alloc(24 + extents.length * 8);
  head(reply, CHUNK_DONE, CHUNK.blockStatus, cookie, 4 + extents.length * 8);
  reply.writeUInt32BE(CONTEXT_ID, 20);
  extents.forEach(({ length, zero }, index) => {
    reply.writeUInt32BE(length, 24 + index * 8);
    reply.writeUInt32BE(zero ? ALLOCATION.hole | ALLOCATION.zero : 0, 28 + index * 8);
  });
  return reply;
}

export function nothing(cookie: bigint): Buffer {
  const reply = Buffer.alloc(20);
  head(reply, CHUNK_DONE, CHUNK.none, cookie, 0);
  return reply;
}

export function failure(cookie: bigint, errno: number = ERRNO.io, message = ''): Buffer {
  const text = Buffer.from(message).subarray(0, MAX_MESSAGE_BYTES);
  const reply = Buffer.alloc(20);
  head(reply, CHUNK_DONE, CHUNK.error, cookie, 6 + text.length);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(text.length);
  return Buffer.concat([reply, uint32(errno), size, text]);
}

function simpleHead(reply: Buffer, cookie: bigint, errno: number): void {
  reply.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  reply.writeUInt32BE(errno, 4);
  reply.writeBigUInt64BE(cookie, 8);
}

function head(reply: Buffer, flags: number, type: number, cookie: bigint, length: number): void {
  reply.writeUInt32BE(STRUCTURED_REPLY_MAGIC, 0);
  reply.writeUInt16BE(flags, 4);
  reply.writeUInt16BE(type, 6);
  reply.writeBigUInt64BE(cookie, 8);
  reply.writeUInt32BE(length, 16);
}
