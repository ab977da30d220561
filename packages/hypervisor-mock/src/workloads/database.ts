import { visit, type Guest } from './workload.js';

const TUPLE_WORDS = 12;

/**
 * Pages of a database's buffer pool: each change stamps the header with a log position, moves the free space,
 * and adds rows of numbers from the page's end; the log itself is written on, page after page.
 */
export function database(guest: Guest): void {
  visit(guest, (pages) => logPages(pages) + guest.random.skewed(pages - logPages(pages)), addRows);
  const log = logPages(guest.heap.pages);
  const written = Math.ceil(guest.shape.rate / 64);
  for (let i = 0; i < written; i++) writeLog(guest, guest.heap.start + ((guest.step * written + i) % log));
}

function logPages(pages: number): number {
  return Math.max(1, pages >>> 3);
}

function addRows({ memory, random, shape, step, registers }: Guest, gfn: number): void {
  memory.writeWord(gfn, 0, step * 8192 + (gfn & 8191), 0);
  let rows = Math.max(1, Math.round(random.around(shape.words) / TUPLE_WORDS));
  memory.writeWord(gfn, 1, rows, 512 - rows * TUPLE_WORDS);
  for (let slot = random.below(40); rows > 0; rows--, slot = (slot + 1) % 42) {
    const at = 512 - (slot + 1) * TUPLE_WORDS;
    const key = (registers[0] = (registers[0] ?? 0) + 1);
    memory.writeWord(gfn, at, step, 0);
    memory.writeWord(gfn, at + 1, key, 0x00180902);
    for (let i = 2; i < TUPLE_WORDS; i++) memory.writeWord(gfn, at + i, random.below(100_000), i);
  }
}

function writeLog({ memory, random, step }: Guest, gfn: number): void {
  memory.update(gfn, (halves) => {
    for (let i = 0; i < halves.length; i += 4) {
      halves[i] = step;
      halves[i + 1] = i;
      halves[i + 2] = random.below(4096);
      halves[i + 3] = random.next() & 0xffff;
    }
  });
}
