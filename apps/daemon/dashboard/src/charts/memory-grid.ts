import type { MemoryMap } from '../../../src/model.js';
import type { Colours } from './colours.js';

const CELL_HEIGHT = 8;
export const LABEL_WIDTH = 64;

export interface GridShape {
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: number;
  readonly height: number;
}

/** Lays bins out in rows of a power of two, so that each row begins at a round address. */
export function shapeOf(bins: number, width: number): GridShape {
  const room = Math.max(1, width - LABEL_WIDTH);
  let columns = 16;
  while (columns < 256 && room / (columns * 2) >= 5 && bins / columns > 12) columns *= 2;
  const rows = Math.max(1, Math.ceil(bins / columns));
  return { columns, rows, cellWidth: room / columns, height: rows * CELL_HEIGHT + 1 };
}

/** The step of the scale, 1 to 5, for a bin that has changed pages. */
export function heatOf(changed: number, pagesPerBin: number): number {
  return Math.max(1, Math.min(5, Math.ceil(5 * Math.sqrt(changed / pagesPerBin))));
}

export function binAt(shape: GridShape, x: number, y: number): number | undefined {
  const column = Math.floor((x - LABEL_WIDTH) / shape.cellWidth);
  const row = Math.floor(y / CELL_HEIGHT);
  if (column < 0 || column >= shape.columns || row < 0 || row >= shape.rows) return undefined;
  return row * shape.columns + column;
}

/** Paints the map with the address of every fourth row beside it. */
export function paint(
  canvas: HTMLCanvasElement,
  map: MemoryMap,
  shape: GridShape,
  colours: Colours,
  label: (gfn: number) => string,
): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const width = LABEL_WIDTH + shape.columns * shape.cellWidth;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(shape.height * devicePixelRatio);
  context.scale(devicePixelRatio, devicePixelRatio);
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'top';
  context.textAlign = 'right';
  context.fillStyle = colours.text;
  for (let row = 0; row < shape.rows; row += 4)
    context.fillText(label(row * shape.columns * map.pagesPerBin), LABEL_WIDTH - 8, row * CELL_HEIGHT);
  for (const [bin, changed] of map.bins.entries()) {
    const left = LABEL_WIDTH + (bin % shape.columns) * shape.cellWidth;
    const top = Math.floor(bin / shape.columns) * CELL_HEIGHT;
    const heat = changed === 0 ? colours.empty : colours.heat[heatOf(changed, map.pagesPerBin) - 1];
    context.fillStyle = heat ?? colours.empty;
    context.fillRect(left, top, Math.max(1, shape.cellWidth - 1), CELL_HEIGHT - 1);
  }
}
