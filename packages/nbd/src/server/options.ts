import { EXPORT, INFO, MAX_REQUEST_BYTES, OPTION_REPLY_MAGIC } from '../protocol.js';
import type { NbdExport } from './export.js';
import { ProtocolBreach } from './input.js';

export function optionReply(option: number, type: number, data: Uint8Array | string = ''): Buffer {
  const body = Buffer.from(data as string);
  const reply = Buffer.alloc(20 + body.length);
  reply.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  reply.writeUInt32BE(option, 8);
  reply.writeUInt32BE(type, 12);
  reply.writeUInt32BE(body.length, 16);
  body.copy(reply, 20);
  return reply;
}

/** Reads the data of an option. Throws ProtocolBreach where it is shorter than it says. */
export class OptionData {
  #at = 0;

  constructor(private readonly data: Buffer) {}

  uint16(): number {
    return this.#take(2).readUInt16BE();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  text(): string {
    return this.#take(this.uint32()).toString();
  }

  end(): void {
    if (this.#at !== this.data.length) throw new ProtocolBreach('there is more in an option than it says');
  }

  #take(bytes: number): Buffer {
    if (this.#at + bytes > this.data.length) throw new ProtocolBreach('an option is shorter than it says');
    this.#at += bytes;
    return this.data.subarray(this.#at - bytes, this.#at);
  }
}

/** Size and flags of an export, as two options tell them. */
export function exportInfo({ sizeBytes }: NbdExport, structured: boolean): Buffer {
  const info = Buffer.alloc(10);
  info.writeBigUInt64BE(BigInt(sizeBytes), 0);
  // The same bytes whoever reads them, through however many connections.
  const flags = EXPORT.hasFlags | EXPORT.readOnly | EXPORT.canMultiConn;
  info.writeUInt16BE(structured ? flags | EXPORT.sendDf : flags, 8);
  return info;
}

/** What INFO and GO say of an export: of these kinds, or what nobody needs to ask for. */
export function infos(each: NbdExport, structured: boolean, asked: readonly number[]): Buffer[] {
  const told = [info(INFO.export, exportInfo(each, structured))];
  if (asked.includes(INFO.name)) told.push(info(INFO.name, Buffer.from(each.name)));
  if (asked.includes(INFO.description) && each.description !== undefined)
    told.push(info(INFO.description, Buffer.from(each.description)));
  if (asked.includes(INFO.blockSize)) {
    const sizes = Buffer.alloc(12);
    sizes.writeUInt32BE(1, 0);
    sizes.writeUInt32BE(4096, 4);
    sizes.writeUInt32BE(MAX_REQUEST_BYTES, 8);
    told.push(info(INFO.blockSize, sizes));
  }
  return told;
}

function info(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(type);
  return Buffer.concat([head, data]);
}
