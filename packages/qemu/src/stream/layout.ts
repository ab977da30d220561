// The layout of QEMU's migration stream and of COLO's messages, as QEMU's documentation and its streams show.

/** "QEVM" */
export const STREAM_MAGIC = 0x5145564d;
export const STREAM_VERSION = 3;

export const SECTION_EOF = 0x00;
export const SECTION_START = 0x01;
export const SECTION_PART = 0x02;
export const SECTION_END = 0x03;
export const SECTION_FULL = 0x04;
export const SECTION_SUBSECTION = 0x05;
export const SECTION_VMDESC = 0x06;
export const SECTION_CONFIGURATION = 0x07;
export const SECTION_COMMAND = 0x08;
export const SECTION_FOOTER = 0x7e;

/** Flags in the low bits of a RAM record's page offset. */
export const RAM_ZERO = 0x02;
export const RAM_MEM_SIZE = 0x04;
export const RAM_PAGE = 0x08;
export const RAM_EOS = 0x10;
export const RAM_CONTINUE = 0x20;

/** Version of the "ram" section that is read and written. */
export const RAM_VERSION = 4;

/** COLO's messages, u32 big-endian each. */
export const COLO_READY = 0;
export const COLO_REQUEST = 1;
export const COLO_REPLY = 2;
export const COLO_SEND = 3;
export const COLO_SIZE = 4;
export const COLO_RECEIVED = 5;
export const COLO_LOADED = 6;

/** The message that ends a return path without an error: its type and length, u16 each, and a zero; as two words. */
export const RETURN_PATH_SHUT: readonly number[] = [0x0001_0004, 0];

/** A RAM block as QEMU lists it. */
export interface RamBlock {
  readonly name: string;
  /** Bytes: a multiple of 4096. */
  readonly size: number;
  /** Number of its first page when the blocks are numbered through in the order of the list. */
  readonly firstGfn: number;
}

/** Numbers of a migration's commands, u16 each after SECTION_COMMAND, then a u16 length and the payload. */
export const COMMAND_OPEN_RETURN_PATH = 1;
export const COMMAND_PING = 2;
export const COMMAND_POSTCOPY_ADVISE = 3;
export const COMMAND_POSTCOPY_LISTEN = 4;
export const COMMAND_POSTCOPY_RUN = 5;
export const COMMAND_POSTCOPY_DISCARD = 6;
export const COMMAND_PACKAGED = 7;
export const COMMAND_POSTCOPY_RESUME = 9;
export const COMMAND_RECEIVED_BITMAP = 10;

/** Types of what comes on a return path, u16 each, then a u16 length and the payload. */
export const RETURN_SHUT = 1;
export const RETURN_PONG = 2;
export const RETURN_REQUEST_NAMED = 3;
export const RETURN_REQUEST = 4;
export const RETURN_RECEIVED_BITMAP = 5;
export const RETURN_RESUME_ACK = 6;
/** Ends a bitmap of received pages. */
export const BITMAP_END = 0x0123_4567_89ab_cdefn;
