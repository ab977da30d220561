import type { DirtyBitmap } from '@fitdoc/bitmap';
import { bytes } from './units.js';

const COLUMNS = 64;
const ROWS = 8;
const SHADES = [' ', '░', '▒', '▓', '█'];

/** A map of memory: each cell a stretch of pages, darker the more of them are set. */
export function memoryMap(bitmap: DirtyBitmap): string {
  const perCell = Math.max(1, Math.ceil(bitmap.pages / (COLUMNS * ROWS)));
  const cells = new Array<number>(Math.ceil(bitmap.pages / perCell)).fill(0);
  for (const { start, count } of bitmap.runs()) addRun(cells, start, count, perCell);
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += COLUMNS) {
    const row = cells.slice(at, at + COLUMNS).map((set) => shade(set, perCell));
    lines.push(`  ${address(at * perCell)} |${row.join('').padEnd(COLUMNS)}|`);
  }
  return [`  each cell ${bytes(perCell * 4096)} of memory`, ...lines].join('\n');
}

function addRun(cells: number[], start: number, count: number, perCell: number): void {
  for (let page = start; page < start + count;) {
    const cell = Math.floor(page / perCell);
    const end = Math.min(start + count, (cell + 1) * perCell);
    cells[cell] = (cells[cell] ?? 0) + end - page;
    page = end;
  }
}

function shade(set: number, perCell: number): string {
  if (set === 0) return SHADES[0] ?? ' ';
  return SHADES[1 + Math.min(3, Math.floor((set / perCell) * 4))] ?? ' ';
}

function address(page: number): string {
  return (BigInt(page) * 4096n).toString(16).padStart(10, '0');
}
