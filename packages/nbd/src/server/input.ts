import type { Socket } from 'node:net';

/** A client that does not keep to the protocol: the connection cannot go on. */
export class ProtocolBreach extends Error {}

/** The client went away where it may. */
export class Ended extends Error {}

/** Takes what a client sends in pieces. No more of it is read from the system than is asked for, and a buffer. */
export class Input {
  private wake: (() => void) | undefined;
  private closed = false;

  constructor(private readonly socket: Socket) {
    const wake = (): void => this.wake?.();
    socket.on('readable', wake);
    socket.on('end', wake);
    socket.on('close', () => {
      this.closed = true;
      wake();
    });
  }

  /** The next `bytes` bytes. Throws Ended where the client stopped before the first of them, ProtocolBreach within. */
  async take(bytes: number): Promise<Buffer> {
    if (bytes === 0) return Buffer.alloc(0);
    for (;;) {
      const taken = this.socket.read(bytes) as Buffer | null;
      if (taken?.length === bytes) return taken;
      if (taken) throw new ProtocolBreach('it went away in the middle of a message');
      if (this.closed || this.socket.readableEnded) throw new Ended('it went away');
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Reads past what nobody wants, without keeping it. */
  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0;) left -= (await this.take(Math.min(left, 2 ** 16))).length;
  }
}
