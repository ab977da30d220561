import type { Guest } from './workload.js';

const ROW_DOUBLES = 512;

/**
 * A sweep of a five-point stencil over a grid of doubles, a row of the grid a page: the values are relaxed in
 * place towards the mean of their neighbours, row after row, with a source that moves.
 */
export function stencil(guest: Guest): void {
  const { heap, memory, random, registers, shape, step } = guest;
  for (let i = 0; i < shape.rate; i++) {
    const row = registers[0] ?? 0;
    registers[0] = (row + 1) % heap.pages;
    const gfn = heap.start + row;
    if (random.chance(shape.rewrites)) {
      memory.touch(gfn);
      continue;
    }
    const above = doublesAt(guest, heap.start + ((row + heap.pages - 1) % heap.pages));
    const below = doublesAt(guest, heap.start + ((row + 1) % heap.pages));
    memory.update(gfn, (halves) => relax(doubles(halves), above, below, shape.words));
    if (row % 64 === step % 64) memory.writeWord(gfn, 256, 0, 0x40590000);
  }
}

const EMPTY_ROW = new Float64Array(ROW_DOUBLES);

function doublesAt({ memory }: Guest, gfn: number): Float64Array {
  const halves = memory.peek(gfn);
  return halves ? doubles(halves) : EMPTY_ROW;
}

function doubles(halves: Uint32Array): Float64Array {
  return new Float64Array(halves.buffer, halves.byteOffset, ROW_DOUBLES);
}

function relax(row: Float64Array, above: Float64Array, below: Float64Array, words: number): void {
  for (let i = 0; i < words; i++) {
    const left = row[(i + ROW_DOUBLES - 1) % ROW_DOUBLES] as number;
    const right = row[(i + 1) % ROW_DOUBLES] as number;
    // The constant keeps the field from ever settling at zero, where a sweep would change nothing.
    row[i] = 0.25 * (left + right + (above[i] as number) + (below[i] as number)) + 1e-3;
  }
}
