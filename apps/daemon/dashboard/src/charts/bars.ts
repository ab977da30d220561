import type uPlot from 'uplot';
import type { Colours } from './colours.js';

const WIDEST_BAR = 9;

/** What is drawn besides the data: one chart's own. */
export interface Marks {
  colours: Colours;
  /** Index of the selected checkpoint, -1 for none. */
  selected: number;
}

/**
 * Draws a bar a checkpoint. Increments set the scale; a base, which is larger by far, is cut off at the top and
 * bears its figure. uPlot's own bars get as thin as the shortest distance: checkpoints come irregularly.
 */
export function drawBars(chart: uPlot, marks: Marks, format: (value: number) => string): void {
  const { ctx, bbox } = chart;
  const width = barWidth(chart);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - width, bbox.top, bbox.width + 2 * width, bbox.height);
  ctx.clip();
  drawSelection(chart, marks, width);
  drawSeries(chart, 1, marks.colours.increment, width);
  const bases = drawSeries(chart, 2, marks.colours.base, width);
  ctx.restore();
  labelCutBases(chart, bases, marks, format, width);
}

function barWidth(chart: uPlot): number {
  const [first, last] = chart.series[0]?.idxs ?? [0, 0];
  const at = (index: number): number => chart.valToPos(chart.data[0]?.[index] ?? 0, 'x', true);
  const each = last > first ? (at(last) - at(first)) / (last - first) : chart.bbox.width;
  return Math.max(1, Math.min(WIDEST_BAR * devicePixelRatio, Math.round(each * 0.7)));
}

/** Indices of the bars that were drawn. */
function drawSeries(chart: uPlot, series: number, colour: string, width: number): number[] {
  const { ctx, bbox, data } = chart;
  const [first, last] = chart.series[0]?.idxs ?? [0, -1];
  const bottom = bbox.top + bbox.height;
  const drawn: number[] = [];
  ctx.beginPath();
  for (let index = first; index <= last; index++) {
    const value = data[series]?.[index];
    if (value === null || value === undefined) continue;
    const x = Math.round(chart.valToPos(data[0]?.[index] ?? 0, 'x', true) - width / 2);
    const y = Math.max(bbox.top, Math.min(bottom - devicePixelRatio, chart.valToPos(value, 'y', true)));
    ctx.rect(x, y, width, bottom - y);
    drawn.push(index);
  }
  ctx.fillStyle = colour;
  ctx.fill();
  return drawn;
}

function drawSelection(chart: uPlot, { selected, colours }: Marks, width: number): void {
  const at = chart.data[0]?.[selected];
  if (at === undefined) return;
  const { ctx, bbox } = chart;
  const band = Math.max(width + 6 * devicePixelRatio, 7 * devicePixelRatio);
  ctx.fillStyle = colours.selected;
  ctx.fillRect(Math.round(chart.valToPos(at, 'x', true) - band / 2), bbox.top, band, bbox.height);
}

function labelCutBases(
  chart: uPlot,
  bases: readonly number[],
  { colours }: Marks,
  format: (value: number) => string,
  width: number,
): void {
  const { ctx, bbox, data } = chart;
  const top = chart.scales['y']?.max ?? 0;
  let free = Number.NEGATIVE_INFINITY;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillStyle = colours.text;
  ctx.textBaseline = 'top';
  ctx.textAlign = 'left';
  for (const index of bases) {
    const value = data[2]?.[index] ?? 0;
    if (value <= top) continue;
    const text = `${format(value)} ↑`;
    const length = ctx.measureText(text).width;
    const x = chart.valToPos(data[0]?.[index] ?? 0, 'x', true);
    const gap = width / 2 + 4 * devicePixelRatio;
    const left = x + gap + length > bbox.left + bbox.width ? x - gap - length : x + gap;
    if (left < free) continue;
    ctx.fillText(text, left, bbox.top + devicePixelRatio);
    free = left + length + gap;
  }
  ctx.restore();
}
