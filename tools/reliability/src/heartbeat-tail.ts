import { open } from 'node:fs/promises';
import { parseHeartbeats, type Heartbeat } from '../../lab/src/qemu/index.js';

/** Reads a growing console from where it last ended, so that a long run does not read it all each time. */
export class HeartbeatTail {
  readonly #path: string;
  #offset = 0;
  #rest = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** The heartbeats that came since the last call. */
  async read(): Promise<Heartbeat[]> {
    const handle = await open(this.#path).catch(() => undefined);
    if (!handle) return [];
    try {
      const { size } = await handle.stat();
      const bytes = Buffer.alloc(size - this.#offset);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, this.#offset);
      this.#offset += bytesRead;
      const text = this.#rest + bytes.toString('latin1', 0, bytesRead);
      const end = text.lastIndexOf('\n') + 1;
      this.#rest = text.slice(end);
      return parseHeartbeats(text.slice(0, end));
    } finally {
      await handle.close();
    }
  }
}
