import { readFile } from 'node:fs/promises';
import { PAGE_SIZE } from '@fitdoc/interface';
import type { PageBatch } from '@fitdoc/interface';
import { expect, it } from 'vitest';
import { createCodec } from '../src/index.js';
import { sameBatch } from './batches.js';

it('the example in the specification is what the codec writes and reads', async () => {
  const spec = await readFile(new URL('../spec/batch-v1.md', import.meta.url), 'utf8');
  const hex = /```hex\n(.*?)```/s.exec(spec)?.[1] ?? '';
  const example = Buffer.concat([
    Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'),
    Buffer.alloc(PAGE_SIZE, 0x2a),
    Buffer.alloc(4),
  ]);
  const mask = new Uint8Array(64);
  mask.set([1, 2]);
  const words = new Uint8Array(16);
  words[8] = 1;
  const batch: PageBatch = {
    gfns: Uint32Array.of(5, 6, 8, 9),
    kinds: Uint8Array.of(1, 3, 2, 2),
    masks: mask,
    words,
    pages: new Uint8Array(2 * PAGE_SIZE).fill(0x2a),
  };
  const codec = await createCodec({ compressor: 'none' });
  expect(Buffer.from(codec.encode(batch).bytes).toString('hex')).toBe(example.toString('hex'));
  expect(sameBatch(codec.decode(example), batch)).toBe(true);
});
