import { open } from 'node:fs/promises';
import { parseHeartbeats, type RunningGuest } from '../../../lab/src/qemu/index.js';
import type { RedisClient } from './redis-client.js';

/** What a guest gets done, told by clocks outside of it: its own stand still while it stands. */
export interface Work {
  /** What is counted. */
  readonly unit: string;
  /** Operations done so far. */
  done(): Promise<number>;
  /** Waits for one operation as somebody outside does; undefined where nobody outside waits. */
  readonly ask: (() => Promise<void>) | undefined;
}

/** Bytes of a console that surely hold a whole heartbeat. */
const TAIL = 256;

export function beatsOf({ serialPath }: RunningGuest): Work {
  const done = async (): Promise<number> => {
    const file = await open(serialPath);
    try {
      const { size } = await file.stat();
      const tail = Buffer.alloc(Math.min(size, TAIL));
      await file.read(tail, 0, tail.length, size - tail.length);
      const last = parseHeartbeats(tail.toString('latin1')).at(-1);
      if (!last?.intact) throw new Error(`no whole heartbeat ends ${serialPath}: ${tail.toString('latin1')}`);
      return last.beat;
    } finally {
      await file.close();
    }
  };
  return { unit: 'beats/s', done, ask: undefined };
}

export function commandsOf(client: RedisClient): Work {
  const done = async (): Promise<number> => {
    const stats = await client.ask('INFO stats');
    const count = /^total_commands_processed:(\d+)/m.exec(stats)?.[1];
    if (count === undefined) throw new Error(`redis does not tell its commands: ${stats.slice(0, 200)}`);
    return Number(count);
  };
  return { unit: 'operations/s', done, ask: async () => void (await client.ask('GET key:000000000001')) };
}
