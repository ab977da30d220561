/** Numbers of the NBD protocol: doc/proto.md of the NetworkBlockDevice project. All of it is big-endian. */
export const GREETING = 'NBDMAGICIHAVEOPT';
export const OPTION_MAGIC = 'IHAVEOPT';
/** Fixed newstyle, no zeroes after the last option: flags of both sides' handshake. */
export const HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const;
export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;
export const OPTION_REPLY_MAGIC = 0x0003_e889_0455_65a9n;
export const OPTION_REPLY = { ack: 1, server: 2, info: 3, metaContext: 4 } as const;
export const OPTION_ERROR = {
  unsupported: 0x8000_0001,
  invalid: 0x8000_0003,
  unknown: 0x8000_0006,
  tooBig: 0x8000_0009,
} as const;
export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;
/** Transmission flags: what an export is like. */
export const EXPORT = { hasFlags: 1, readOnly: 2, sendDf: 128, canMultiConn: 256 } as const;
export const REQUEST_MAGIC = 0x2560_9513;
export const REQUEST_BYTES = 28;
export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;
export const COMMAND_FLAG = { fua: 1, noHole: 2, dontFragment: 4, requestOne: 8, fastZero: 16 } as const;
export const SIMPLE_REPLY_MAGIC = 0x6744_6698;
export const STRUCTURED_REPLY_MAGIC = 0x668e_33ef;
export const CHUNK = { none: 0, data: 1, hole: 2, blockStatus: 5, error: 0x8001 } as const;
/** Set in the type of a chunk that tells an error. */
export const CHUNK_ERROR = 0x8000;
/** Set in the flags of a reply's last chunk. */
export const CHUNK_DONE = 1;
/** The metadata context that every server of sparse disks has, and its flags. */
export const BASE_ALLOCATION = 'base:allocation';
export const ALLOCATION = { hole: 1, zero: 2 } as const;
export const ERRNO = { permission: 1, io: 5, invalid: 22, notSupported: 95, overflow: 75 } as const;
/** Most bytes that a client may ask for at once where nothing else was agreed on. */
export const MAX_REQUEST_BYTES = 2 ** 25;

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
