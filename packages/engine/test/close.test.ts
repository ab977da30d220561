import { setTimeout as delay } from 'node:timers/promises';
import { createEngine } from '@fitdoc/engine';
import { KIND_WHOLE, PAGE_SIZE } from '@fitdoc/interface';
import { afterEach, beforeEach, expect, it } from 'vitest';

const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);
beforeEach(() => {
  uncaught.length = 0;
  process.on('uncaughtException', note);
});
afterEach(() => {
  process.off('uncaughtException', note);
});

/** A batch of pages that do not compress at once: each takes a worker some milliseconds. */
function blocks(pages: number): Parameters<ReturnType<typeof createEngine>['pool']['blocks']>[0] {
  const bytes = new Uint8Array(new SharedArrayBuffer(pages * PAGE_SIZE));
  for (let at = 0; at < bytes.length; at++) bytes[at] = Math.imul(at ^ (at >>> 7), 0x9e37_79b1) >>> 24;
  return {
    kind: 'blocks',
    gfns: Uint32Array.from({ length: pages }, (_, page) => page),
    kinds: new Uint8Array(pages).fill(KIND_WHOLE),
    masks: new Uint8Array(0),
    words: new Uint8Array(new SharedArrayBuffer(0)),
    pages: bytes,
    settings: { compressor: 'zstd', level: 1 },
  };
}

it('ends in the middle of work, whenever it comes, and every task has an answer', async () => {
  for (let turn = 0; turn < 6; turn++) {
    const engine = createEngine({ workers: 2 });
    await engine.pool.blocks(blocks(1));
    const tasks = Array.from({ length: 8 }, () => engine.pool.blocks(blocks(16)));
    const settled = Promise.allSettled(tasks);
    await tasks[turn % 4];
    await engine.close();
    for (const result of await settled) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ARGUMENT_INVALID' });
    }
    await expect(engine.pool.blocks(blocks(1))).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    await engine.close();
  }
  // What a thread sent before it ended arrives after the pool is closed.
  await delay(50);
  expect(uncaught).toEqual([]);
});
