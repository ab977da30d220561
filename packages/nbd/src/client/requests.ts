import { OPTION_MAGIC, REQUEST_BYTES, REQUEST_MAGIC, uint32 } from '../protocol.js';

/** A request of an option: its number and its data. */
export function optionBytes(option: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(16);
  head.write(OPTION_MAGIC, 'latin1');
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

export function requestBytes(command: number, cookie: number, offset: number, length: number): Buffer {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt32BE(REQUEST_MAGIC, 0);
  request.writeUInt16BE(command, 6);
  request.writeBigUInt64BE(BigInt(cookie), 8);
  request.writeBigUInt64BE(BigInt(offset), 16);
  request.writeUInt32BE(length, 24);
  return request;
}

/** A text with its length before it. */
export function counted(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}
