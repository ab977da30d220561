import { PAGE_SIZE } from '@fitdoc/interface';
import {
  COMMAND_OPEN_RETURN_PATH,
  COMMAND_PACKAGED,
  COMMAND_PING,
  COMMAND_POSTCOPY_ADVISE,
  COMMAND_POSTCOPY_DISCARD,
  COMMAND_POSTCOPY_LISTEN,
  COMMAND_POSTCOPY_RESUME,
  COMMAND_POSTCOPY_RUN,
  COMMAND_RECEIVED_BITMAP,
  RAM_EOS,
  RAM_MEM_SIZE,
  RAM_VERSION,
  SECTION_COMMAND,
  SECTION_EOF,
  SECTION_FOOTER,
  SECTION_START,
  STREAM_MAGIC,
  STREAM_VERSION,
} from '../stream/layout.js';
import { StreamBuffer } from '../stream/stream-buffer.js';

// What the source of a postcopy migration says, as QEMU's documentation has it and QEMU 7.2, 10.0 and 11.1 take it.

/** A RAM block of the target. */
export interface Block {
  readonly name: string;
  /** Its first page, and their number, in the machine's own count. */
  readonly firstGfn: number;
  readonly pages: number;
  /** Bytes of the host's pages that back it: 4096, or 2 MiB. */
  readonly pageSize: number;
}

/** Number of the "ram" section in our streams. */
export const RAM_SECTION = 2;
/** The PING whose PONG says that the devices are loaded. */
export const PING_LOADED = 3;

function command(out: StreamBuffer, number: number, payload: Uint8Array = new Uint8Array(0)): void {
  out.byte(SECTION_COMMAND);
  out.uint16(number);
  out.uint16(payload.length);
  out.bytes(payload);
}

/**
 * All that is sent before the guest runs: what the machine is, its blocks, and in one package its devices and the
 * command to run. `devices` ends with the byte that ends a stream.
 */
export function opening(
  configuration: Uint8Array,
  devices: Uint8Array,
  blocks: readonly Block[],
): Uint8Array {
  const out = new StreamBuffer();
  out.uint32(STREAM_MAGIC);
  out.uint32(STREAM_VERSION);
  out.bytes(configuration);
  command(out, COMMAND_OPEN_RETURN_PATH);
  command(out, COMMAND_POSTCOPY_ADVISE, advice(blocks));
  ramStart(out, blocks);
  // Everything, in each block: one huge page may stand where a single small one was asked for, and without any
  // discard QEMU forgets that it listens.
  for (const block of blocks) command(out, COMMAND_POSTCOPY_DISCARD, discard(block));
  const loaded = packaged(devices);
  command(out, COMMAND_PACKAGED, uint32(loaded.length));
  out.bytes(loaded);
  return out.take();
}

function packaged(devices: Uint8Array): Uint8Array {
  const out = new StreamBuffer();
  command(out, COMMAND_POSTCOPY_LISTEN);
  if (devices.at(-1) !== SECTION_EOF) throw new RangeError('the device state does not end as a stream does');
  out.bytes(devices.subarray(0, -1));
  command(out, COMMAND_PING, uint32(PING_LOADED));
  command(out, COMMAND_POSTCOPY_RUN);
  return out.take();
}

/** All sizes of host pages in one number, and the size of the guest's. */
function advice(blocks: readonly Block[]): Uint8Array {
  const out = new StreamBuffer();
  out.uint64(blocks.reduce((sizes, { pageSize }) => sizes | pageSize, 0));
  out.uint64(PAGE_SIZE);
  return out.take();
}

function ramStart(out: StreamBuffer, blocks: readonly Block[]): void {
  out.byte(SECTION_START);
  out.uint32(RAM_SECTION);
  out.named('ram');
  out.uint32(0);
  out.uint32(RAM_VERSION);
  out.uint64(blocks.reduce((sum, { pages }) => sum + pages * PAGE_SIZE, 0) + RAM_MEM_SIZE);
  for (const { name, pages, pageSize } of blocks) {
    out.named(name);
    out.uint64(pages * PAGE_SIZE);
    if (pageSize !== PAGE_SIZE) out.uint64(pageSize);
  }
  endSection(out);
}

function discard({ name, pages }: Block): Uint8Array {
  const out = new StreamBuffer();
  out.byte(0);
  out.named(name);
  out.byte(0);
  out.uint64(0);
  out.uint64(pages * PAGE_SIZE);
  return out.take();
}

/** Ends a part of the "ram" section. */
export function endSection(out: StreamBuffer): void {
  out.uint64(RAM_EOS);
  out.byte(SECTION_FOOTER);
  out.uint32(RAM_SECTION);
}

/** Asks which pages of a block QEMU has. */
export function askReceived({ name }: Block): Uint8Array {
  const out = new StreamBuffer();
  const payload = new StreamBuffer();
  payload.named(name);
  command(out, COMMAND_RECEIVED_BITMAP, payload.take());
  return out.take();
}

/** Lets a postcopy go on over a new connection. */
export function resumption(): Uint8Array {
  const out = new StreamBuffer();
  command(out, COMMAND_POSTCOPY_RESUME);
  return out.take();
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
