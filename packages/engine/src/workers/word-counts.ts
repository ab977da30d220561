import { KIND_WORDS, MASK_SIZE, type PageBatch } from '@fitdoc/interface';

const BITS = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest; rest &= rest - 1) count++;
  return count;
});

/** Changed words a page of `batch`, 0 for pages stored whole or as zero. */
export function wordCounts(batch: PageBatch): Uint16Array {
  const counts = new Uint16Array(batch.gfns.length);
  let mask = 0;
  for (let page = 0; page < counts.length; page++) {
    if (batch.kinds[page] !== KIND_WORDS) continue;
    let count = 0;
    for (let byte = mask; byte < mask + MASK_SIZE; byte++) count += BITS[batch.masks[byte] ?? 0] ?? 0;
    counts[page] = count;
    mask += MASK_SIZE;
  }
  return counts;
}
