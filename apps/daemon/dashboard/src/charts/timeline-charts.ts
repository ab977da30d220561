import uPlot from 'uplot';
import type { TimelinePoint } from '../state/state.js';
import type { Marks } from './bars.js';
import { chartOptions, type ChartHandlers } from './chart-options.js';
import { onThemeChange, readColours } from './colours.js';
import { measures } from './measures.js';

/** What the charts show: times in seconds since 1970. */
export interface View {
  readonly points: readonly TimelinePoint[];
  readonly selected: number;
  readonly from: number;
  readonly to: number;
}

export interface TimelineHandlers extends ChartHandlers {
  readonly onSelect: (index: number) => void;
}

/** The charts of a timeline, one below the other over the same time. */
export class TimelineCharts {
  readonly #host: HTMLElement;
  readonly #handlers: TimelineHandlers;
  readonly #marks: Marks = { colours: readColours(), selected: -1 };
  readonly #observer: ResizeObserver;
  readonly #forgetTheme: () => void;
  #charts: uPlot[] = [];
  #view: View = { points: [], selected: -1, from: 0, to: 1 };

  constructor(host: HTMLElement, handlers: TimelineHandlers) {
    this.#host = host;
    this.#handlers = handlers;
    this.#build();
    this.#observer = new ResizeObserver(() => {
      const width = host.clientWidth;
      for (const chart of this.#charts)
        if (chart.width !== width) chart.setSize({ width, height: chart.height });
    });
    this.#observer.observe(host);
    this.#forgetTheme = onThemeChange(() => {
      this.#marks.colours = readColours();
      this.#build();
      this.show(this.#view);
    });
  }

  show(view: View): void {
    const { points, selected, from, to } = view;
    const changed =
      points !== this.#view.points || this.#charts.some(({ data }) => data[0].length !== points.length);
    this.#view = view;
    this.#marks.selected = selected;
    for (const [index, chart] of this.#charts.entries()) {
      chart.batch(() => {
        if (changed) chart.setData(dataOf(points, index), false);
        chart.setScale('x', { min: from, max: to });
        chart.redraw(false, true);
      });
    }
  }

  destroy(): void {
    this.#observer.disconnect();
    this.#forgetTheme();
    for (const chart of this.#charts) chart.destroy();
  }

  #build(): void {
    for (const chart of this.#charts) chart.destroy();
    const width = this.#host.clientWidth;
    this.#charts = [...this.#host.querySelectorAll<HTMLElement>('.chart')].map((child, index) => {
      const bottom = index === measures.length - 1;
      const setting = { marks: this.#marks, width, bottom, group: 'timeline' };
      const measure = measures[index];
      if (!measure) throw new Error('There are more places than measures.');
      const chart = new uPlot(
        chartOptions({ ...setting, measure }, this.#handlers),
        dataOf(this.#view.points, index),
        child,
      );
      chart.over.addEventListener('click', () => {
        if (typeof chart.cursor.idx === 'number') this.#handlers.onSelect(chart.cursor.idx);
      });
      return chart;
    });
  }
}

function dataOf(points: readonly TimelinePoint[], index: number): uPlot.AlignedData {
  const of = measures[index]?.of ?? (() => 0);
  return [
    points.map(({ capturedAt }) => Date.parse(capturedAt) / 1000),
    points.map((point) => (point.kind === 'increment' ? of(point) : null)),
    points.map((point) => (point.kind === 'base' ? of(point) : null)),
  ];
}
