import { PAGE_SIZE } from '@fitdoc/interface';
import type { Codec } from '@fitdoc/codec';
import { applyBatch } from '@fitdoc/diff';
import type { RamTrace } from '../ramtrace.js';
import { Clock, fitdoc } from './ways.js';

/**
 * Encodes all epochs, decodes them again onto the recording's first contents, and compares with its last.
 * Throws when a page differs: figures of a codec that loses something are worth nothing.
 */
export async function checkReplay(trace: RamTrace, codec: Codec): Promise<void> {
  const memory = new Uint8Array(trace.memoryPages * PAGE_SIZE);
  const expected = new Map<number, Uint8Array>();
  for (const { gfns, pages } of [trace.base, ...trace.epochs]) {
    gfns.forEach((gfn, index) =>
      expected.set(gfn, pages.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE)),
    );
  }
  trace.base.gfns.forEach((gfn, index) => {
    memory.set(trace.base.pages.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE), gfn * PAGE_SIZE);
  });
  const way = fitdoc(trace, codec, 'replay', (bytes) => applyBatch(codec.decode(bytes), memory));
  await way.prepare();
  await way.run(new Clock());
  for (const [gfn, page] of expected) {
    if (Buffer.compare(memory.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE), page) !== 0) {
      throw new Error(`After a replay of ${trace.workload}, page ${gfn} is not what the recording holds.`);
    }
  }
}
