import type { Socket } from 'node:net';

/** Takes what a socket receives in pieces of the sizes that are asked for. One call at a time. */
export class SocketReader {
  private chunks: Buffer[] = [];
  private available = 0;
  private waiting: { readonly bytes: number; resolve(): void; reject(error: Error): void } | undefined;
  private ended: Error | undefined;

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.available += chunk.length;
      if (this.waiting && this.available >= this.waiting.bytes) {
        this.waiting.resolve();
        this.waiting = undefined;
      }
    });
    socket.on('error', (error) => this.end(error));
    socket.on('close', () => this.end(new Error('the connection was closed')));
  }

  /** The next `bytes` bytes. Rejects when the connection ends before. */
  async take(bytes: number): Promise<Buffer> {
    if (this.available < bytes) await this.wait(bytes);
    const [first] = this.chunks;
    this.available -= bytes;
    if (first && first.length > bytes) {
      this.chunks[0] = first.subarray(bytes);
      return first.subarray(0, bytes);
    }
    const parts: Buffer[] = [];
    for (let missing = bytes; missing > 0;) {
      const chunk = this.chunks.shift()!;
      parts.push(chunk.subarray(0, missing));
      if (chunk.length > missing) this.chunks.unshift(chunk.subarray(missing));
      missing -= Math.min(missing, chunk.length);
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  private wait(bytes: number): Promise<void> {
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => (this.waiting = { bytes, resolve, reject }));
  }

  private end(error: Error): void {
    this.ended ??= error;
    this.waiting?.reject(this.ended);
    this.waiting = undefined;
  }
}
