import type { Socket } from 'node:net';
import {
  BASE_ALLOCATION,
  GREETING,
  HANDSHAKE,
  OPTION,
  OPTION_ERROR,
  OPTION_MAGIC,
  OPTION_REPLY,
  uint32,
} from '../protocol.js';
import { exportNamed, type NbdExport } from './export.js';
import { Ended, ProtocolBreach, type Input } from './input.js';
import { exportInfo, infos, OptionData, optionReply } from './options.js';

/** What client and server agreed on. */
export interface Agreement {
  readonly export: NbdExport;
  /** Whether replies come in chunks. */
  readonly structured: boolean;
  /** Whether it may ask for block status. */
  readonly status: boolean;
}

/** The longest option that is read: a name of 4096 bytes and what goes with it. */
const MAX_OPTION_BYTES = 2 ** 14;
/** More than any client needs; who asks without end is no client. */
const MAX_OPTIONS = 256;
/** What stands for block status where a client asks for it. */
const CONTEXT_ID = 1;

/** The server's side of a fixed newstyle handshake, until the client has chosen an export. */
export class Handshake {
  private structured = false;
  /** The export for which block status was agreed on. */
  private statusOf: NbdExport | undefined;
  private noZeroes = false;

  constructor(
    private readonly socket: Socket,
    private readonly input: Input,
    private readonly exports: readonly NbdExport[],
  ) {}

  /** Throws ProtocolBreach, or Ended where the client leaves. */
  async agree(): Promise<Agreement> {
    const greeting = Buffer.alloc(18);
    greeting.write(GREETING, 'latin1');
    greeting.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 16);
    this.socket.write(greeting);
    const flags = (await this.input.take(4)).readUInt32BE();
    if (flags > 3) throw new ProtocolBreach('it wants what this server did not offer');
    this.noZeroes = (flags & HANDSHAKE.noZeroes) !== 0;
    for (let count = 0; count < MAX_OPTIONS; count++) {
      const chosen = await this.option();
      if (chosen) return { export: chosen, structured: this.structured, status: this.statusOf === chosen };
    }
    throw new ProtocolBreach(`it asked for ${MAX_OPTIONS} options`);
  }

  private async option(): Promise<NbdExport | undefined> {
    const head = await this.input.take(16);
    if (head.toString('latin1', 0, 8) !== OPTION_MAGIC) throw new ProtocolBreach('it speaks no NBD');
    const [option, length] = [head.readUInt32BE(8), head.readUInt32BE(12)];
    if (length > MAX_OPTION_BYTES) {
      if (option === OPTION.exportName) throw new ProtocolBreach('the name of an export is too long');
      await this.input.skip(length);
      this.answer(option, OPTION_ERROR.tooBig, 'too long');
      return undefined;
    }
    const data = await this.input.take(length);
    try {
      return this.carryOut(option, data);
    } catch (error) {
      if (!(error instanceof ProtocolBreach) || option === OPTION.exportName) throw error;
      this.answer(option, OPTION_ERROR.invalid, error.message);
      return undefined;
    }
  }

  private carryOut(option: number, data: Buffer): NbdExport | undefined {
    switch (option) {
      case OPTION.exportName:
        return this.choose(data.toString());
      case OPTION.abort:
        this.answer(option, OPTION_REPLY.ack);
        throw new Ended('it ended the handshake');
      case OPTION.list:
        return this.list(data);
      case OPTION.info:
      case OPTION.go:
        return this.tell(option, new OptionData(data));
      case OPTION.structuredReply:
        new OptionData(data).end();
        this.structured = true;
        this.answer(option, OPTION_REPLY.ack);
        return undefined;
      case OPTION.listMetaContext:
      case OPTION.setMetaContext:
        return this.contexts(option, new OptionData(data));
      default:
        this.answer(option, OPTION_ERROR.unsupported, `option ${option} is not known here`);
        return undefined;
    }
  }

  /** The oldest way: no answer but the size, and an end of the connection where there is no such export. */
  private choose(name: string): NbdExport {
    const chosen = exportNamed(this.exports, name);
    if (!chosen) throw new ProtocolBreach(`there is no export ${JSON.stringify(name)}`);
    this.socket.write(exportInfo(chosen, this.structured));
    if (!this.noZeroes) this.socket.write(Buffer.alloc(124));
    return chosen;
  }

  private list(data: Buffer): undefined {
    new OptionData(data).end();
    for (const { name, description = '' } of this.exports) {
      const text = Buffer.from(name);
      const server = Buffer.concat([uint32(text.length), text, Buffer.from(description)]);
      this.answer(OPTION.list, OPTION_REPLY.server, server);
    }
    this.answer(OPTION.list, OPTION_REPLY.ack);
  }

  private tell(option: number, data: OptionData): NbdExport | undefined {
    const name = data.text();
    const asked = Array.from({ length: data.uint16() }, () => data.uint16());
    data.end();
    const chosen = exportNamed(this.exports, name);
    if (!chosen) {
      this.answer(option, OPTION_ERROR.unknown, this.unknown(name));
      return undefined;
    }
    for (const info of infos(chosen, this.structured, asked)) this.answer(option, OPTION_REPLY.info, info);
    this.answer(option, OPTION_REPLY.ack);
    return option === OPTION.go ? chosen : undefined;
  }

  private contexts(option: number, data: OptionData): undefined {
    const name = data.text();
    const queries = Array.from({ length: data.uint32() }, () => data.text());
    data.end();
    const setting = option === OPTION.setMetaContext;
    if (setting) this.statusOf = undefined;
    if (!this.structured) throw new ProtocolBreach('contexts need structured replies');
    const chosen = exportNamed(this.exports, name);
    if (!chosen) return this.answer(option, OPTION_ERROR.unknown, this.unknown(name));
    const all = !setting && (queries.length === 0 || queries.includes('base:'));
    if (all || queries.includes(BASE_ALLOCATION)) {
      if (setting) this.statusOf = chosen;
      const context = Buffer.concat([uint32(setting ? CONTEXT_ID : 0), Buffer.from(BASE_ALLOCATION)]);
      this.answer(option, OPTION_REPLY.metaContext, context);
    }
    this.answer(option, OPTION_REPLY.ack);
  }

  private unknown(name: string): string {
    const there = this.exports.map((each) => JSON.stringify(each.name)).join(', ');
    return `there is no export ${JSON.stringify(name)}; there are: ${there}`;
  }

  private answer(option: number, type: number, data: Uint8Array | string = ''): undefined {
    this.socket.write(optionReply(option, type, data));
  }
}
