import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteQueue } from '../src/stream/byte-queue.js';
import { Slabs } from '../src/stream/slabs.js';

describe('memory for what comes in', () => {
  it('is not taken again before it was read, however reads and arrivals alternate', () => {
    const steps = fc.array(fc.record({ arrive: fc.nat(400_000), read: fc.nat(400_000) }), {
      minLength: 20,
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (given) => {
        const [slabs, queue] = [new Slabs(), new ByteQueue()];
        let next = 0;
        let expected = 0;
        for (const { arrive, read } of given) {
          const room = slabs.room();
          const count = Math.min(arrive, room.length);
          // One value a step, which is enough to tell whose bytes they are.
          room.fill(next % 251, 0, count);
          if (count > 0) marks.push({ end: queue.position + queue.available + count, value: next % 251 });
          next++;
          queue.push(slabs.taken(count));
          const bytes = new Uint8Array(Math.min(read, queue.available));
          queue.copyTo(bytes);
          for (const value of bytes) {
            while ((marks[0]?.end ?? Infinity) <= expected) marks.shift();
            if (value !== marks[0]?.value) throw new Error(`byte ${expected} was overwritten`);
            expected++;
          }
          slabs.release(queue.position);
        }
        marks.length = 0;
      }),
      { numRuns: 20 },
    );
  });

  it('is the same memory again once it was read', () => {
    const slabs = new Slabs();
    const seen = new Set<ArrayBufferLike>();
    let position = 0;
    for (let i = 0; i < 200; i++) {
      const room = slabs.room();
      seen.add(room.buffer);
      position += slabs.taken(200_000).length;
      slabs.release(position);
    }
    expect(seen.size).toBeLessThanOrEqual(2);
  });
});

const marks: { end: number; value: number }[] = [];
