import { readSync, writeSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { held, StallWatch } from '../src/guard/stalled.js';
import { bindSockets, type SocketCalls } from '../src/native/binding.js';
import { hasEnded, socketPair, waiting, type SocketPair } from '../src/native/sockets.js';

describe('a process that may stand still while QEMU waits for it', () => {
  let calls: SocketCalls;
  beforeAll(async () => void (calls = await bindSockets()));
  const pairs: SocketPair[] = [];
  afterEach(() => {
    for (const { ours, theirs } of pairs.splice(0)) for (const end of [ours, theirs]) calls.close(end);
  });

  /** A watch over this process's own ends; QEMU's are `stream.theirs` and `monitor.theirs`. */
  function watched(awaited: boolean) {
    const [stream, monitor] = [socketPair(calls, 1 << 16), socketPair(calls, 1 << 16)];
    pairs.push(stream, monitor);
    const told = { process: process.pid, socket: held(stream.ours)!, monitor: held(monitor.ours)!, awaited };
    return { stream, monitor, watch: new StallWatch(told), told };
  }

  async function looks(watch: StallWatch, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await watch.look();
  }

  test.each([
    ['leaves what it was sent', false, 100],
    ['says no word that QEMU awaits', true, 0],
  ])('loses its stream when it %s, and QEMU is told', async (_what, awaited, bytes) => {
    const { stream, monitor, watch } = watched(awaited);
    writeSync(stream.theirs, new Uint8Array(bytes));
    await looks(watch, 4);
    expect(hasEnded(calls, stream.theirs)).toBe(false);
    await looks(watch, 3);
    expect(hasEnded(calls, stream.theirs)).toBe(true);
    const said = Buffer.alloc(waiting(calls, monitor.theirs));
    readSync(monitor.theirs, said);
    expect(JSON.parse(said.toString())).toEqual({ execute: 'x-colo-lost-heartbeat' });
  });

  test('keeps it while it lives, reads, or has nothing to do', async () => {
    const living = watched(true);
    for (let i = 0; i < 12; i++) {
      await living.watch.look();
      if (i % 3 === 0) living.watch.heard();
    }
    const reading = watched(false);
    for (let i = 0; i < 12; i++) {
      writeSync(reading.stream.theirs, new Uint8Array(i));
      await reading.watch.look();
    }
    const idle = watched(false);
    await looks(idle.watch, 12);
    for (const { stream } of [living, reading, idle]) expect(hasEnded(calls, stream.theirs)).toBe(false);
  });

  test('has none of its later descriptors touched', async () => {
    const { stream, monitor, told } = watched(true);
    const watch = new StallWatch({ ...told, socket: { ...told.socket, name: 'socket:[1]' } });
    await looks(watch, 12);
    expect(hasEnded(calls, stream.theirs)).toBe(false);
    expect(waiting(calls, monitor.theirs)).toBe(0);
  });
});
