import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Speaks the protocol byte by byte, right or wrong. */
export class RawClient {
  private received = Buffer.alloc(0);
  private closed = false;
  private wake: (() => void) | undefined;

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.wake?.();
    });
  }

  static async connect(path: string): Promise<RawClient> {
    const socket = connect(path);
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** Past the greeting, with these flags. */
  static async greeted(path: string, flags = 3): Promise<RawClient> {
    const client = await RawClient.connect(path);
    await client.take(18);
    client.send(uint32(flags));
    return client;
  }

  /** Ready for requests. */
  static async opened(path: string, name: string, structured: boolean): Promise<RawClient> {
    const client = await RawClient.greeted(path);
    if (structured) {
      await client.option(8);
      const contexts = Buffer.concat([counted(name), uint32(1), counted('base:allocation')]);
      await client.option(10, contexts);
    }
    await client.option(7, Buffer.concat([counted(name), Buffer.alloc(2)]));
    return client;
  }

  send(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.received.length < bytes) {
      if (this.closed) throw new Error('closed');
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    const taken = this.received.subarray(0, bytes);
    this.received = this.received.subarray(bytes);
    return taken;
  }

  async end(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  /** All answers to an option, the last included. */
  async option(
    number: number,
    data: Uint8Array = Buffer.alloc(0),
  ): Promise<{ type: number; body: Buffer }[]> {
    this.send(Buffer.from('IHAVEOPT'), uint32(number), uint32(data.length), data);
    const answers: { type: number; body: Buffer }[] = [];
    for (;;) {
      const head = await this.take(20);
      const [type, length] = [head.readUInt32BE(12), head.readUInt32BE(16)];
      answers.push({ type, body: await this.take(length) });
      if (type === 1 || type >= 2 ** 31) return answers;
    }
  }

  request(command: number, offset: number, length: number, { flags = 0, cookie = 7 } = {}): void {
    const request = Buffer.alloc(28);
    request.writeUInt32BE(0x2560_9513, 0);
    request.writeUInt16BE(flags, 4);
    request.writeUInt16BE(command, 6);
    request.writeBigUInt64BE(BigInt(cookie), 8);
    request.writeBigUInt64BE(BigInt(offset), 16);
    request.writeUInt32BE(length, 24);
    this.send(request);
  }

  /** The next chunk of a structured reply. */
  async chunk(): Promise<{ done: boolean; type: number; cookie: number; body: Buffer }> {
    const head = await this.take(20);
    if (head.readUInt32BE(0) !== 0x668e_33ef) throw new Error('no structured reply');
    const body = await this.take(head.readUInt32BE(16));
    const [flags, type] = [head.readUInt16BE(4), head.readUInt16BE(6)];
    return { done: flags === 1, type, cookie: Number(head.readBigUInt64BE(8)), body };
  }

  /** The error of the next reply, in either style; 0: none. */
  async errno(): Promise<number> {
    const magic = await this.take(4);
    if (magic.readUInt32BE() === 0x6744_6698) return (await this.take(12)).readUInt32BE(0);
    const rest = await this.take(16);
    const body = await this.take(rest.readUInt32BE(12));
    return rest.readUInt16BE(2) === 0x8001 ? body.readUInt32BE(0) : 0;
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function counted(text: string): Buffer {
  return Buffer.concat([uint32(Buffer.byteLength(text)), Buffer.from(text)]);
}
