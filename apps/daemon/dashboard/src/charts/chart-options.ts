import type uPlot from 'uplot';
import { shortDay } from '../words/format.js';
import { drawBars, type Marks } from './bars.js';
import type { Measure } from './measures.js';

const AXIS_WIDTH = 76;
const FONT = '11px system-ui, sans-serif';

export interface ChartHandlers {
  /** The pointer is over the checkpoint with this index; undefined when it left. */
  readonly onHover: (index: number | undefined) => void;
  readonly onZoom: (from: number, to: number) => void;
}

export interface ChartSetting {
  readonly measure: Measure;
  readonly marks: Marks;
  readonly width: number;
  /** Whether the axis of time is below this chart. */
  readonly bottom: boolean;
  /** Charts with the same key share their cursor. */
  readonly group: string;
}

/** A chart of increments (series 1) and bases (series 2) over time in seconds. */
export function chartOptions(setting: ChartSetting, handlers: ChartHandlers): uPlot.Options {
  const { measure, marks, width, bottom, group } = setting;
  const hidden = { show: true, paths: () => null, points: { show: false } };
  return {
    width,
    height: bottom ? 116 : 84,
    padding: [4, 26, bottom ? 0 : 6, 0],
    legend: { show: false },
    scales: { x: { time: true, auto: false }, y: { range: (chart) => [0, topOf(chart)] } },
    series: [{}, hidden, hidden],
    axes: [timeAxis(marks, bottom), valueAxis(measure, marks)],
    cursor: {
      sync: { key: group },
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false, dist: 6 },
    },
    hooks: {
      drawAxes: [(chart) => drawBars(chart, marks, measure.format)],
      setCursor: [
        ({ cursor }) =>
          handlers.onHover(
            cursor.left === undefined || cursor.left < 0 ? undefined : (cursor.idx ?? undefined),
          ),
      ],
      setSelect: [
        (chart) => {
          if (chart.select.width < 6) return;
          const { left, width: dragged } = chart.select;
          handlers.onZoom(chart.posToVal(left, 'x'), chart.posToVal(left + dragged, 'x'));
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** The largest increment in sight; where there is none, the largest base. */
function topOf({ data, series }: uPlot): number {
  const [first, last] = series[0]?.idxs ?? [0, 0];
  const largest = (of: number): number => {
    let found = 0;
    for (let index = first; index <= last; index++) found = Math.max(found, data[of]?.[index] ?? 0);
    return found;
  };
  return (largest(1) || largest(2) || 1) * 1.12;
}

function timeAxis({ colours }: Marks, labelled: boolean): uPlot.Axis {
  return {
    size: labelled ? 34 : 0,
    font: FONT,
    stroke: colours.text,
    space: 84,
    grid: { stroke: colours.grid, width: 1 },
    ticks: { show: labelled, stroke: colours.grid, width: 1, size: 4 },
    values: (_chart, splits, _axis, _space, step) =>
      labelled ? splits.map(timeLabels(step)) : splits.map(() => ''),
  };
}

function timeLabels(step: number): (at: number, index: number, all: number[]) => string {
  return (at, index, all) => {
    const date = new Date(at * 1000);
    const before = all[index - 1];
    const newDay = before === undefined || new Date(before * 1000).toDateString() !== date.toDateString();
    const time = date.toTimeString().slice(0, step < 60 ? 8 : 5);
    if (step >= 86_400) return shortDay(date);
    return newDay ? `${time}\n${shortDay(date)}` : time;
  };
}

function valueAxis({ format, steps }: Measure, { colours }: Marks): uPlot.Axis {
  return {
    size: AXIS_WIDTH,
    font: FONT,
    stroke: colours.text,
    space: 26,
    incrs: steps,
    grid: { stroke: colours.grid, width: 1 },
    ticks: { show: false },
    values: (_chart, splits) => splits.map((value) => (value === 0 ? '0' : format(value))),
  };
}
