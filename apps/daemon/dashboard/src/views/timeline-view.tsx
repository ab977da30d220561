import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { measures } from '../charts/measures.js';
import { boundsOf, fittingRange, presets, type Range } from '../charts/ranges.js';
import { TimelineCharts } from '../charts/timeline-charts.js';
import { goTo } from '../state/route.js';
import type { TimelinePoint } from '../state/state.js';
import { count, timeOfDay } from '../words/format.js';

interface Props {
  readonly machine: string;
  readonly points: readonly TimelinePoint[];
  readonly selected: number;
  /** Nothing was chosen: the newest is selected, whichever that is. */
  readonly following: boolean;
  readonly now: number;
}

export function TimelineView({ machine, points, selected, following, now }: Props) {
  const [range, setRange] = useState<Range>(() => fittingRange(points, now));
  const [hovered, setHovered] = useState<number>();
  const select = (index: number): void => {
    const point = points[Math.max(0, Math.min(points.length - 1, index))];
    if (point) goTo({ machine, checkpoint: point.id });
  };
  const host = useCharts({ points, selected, range, now, select, setHovered, setRange });
  const shown = points[hovered ?? selected] ?? points[selected];
  return (
    <>
      <div class="section-head">
        <h3 id="timeline-title">Timeline</h3>
        <Ranges range={range} onChange={setRange} />
        {!following && (
          <button type="button" class="plain" onClick={() => goTo({ machine })}>
            Follow the newest
          </button>
        )}
      </div>
      {shown && <Readout point={shown} now={now} />}
      <div
        class="charts"
        ref={host}
        tabIndex={0}
        role="slider"
        aria-label="Checkpoint on the timeline; arrow keys select"
        aria-valuemin={1}
        aria-valuemax={points.length}
        aria-valuenow={selected + 1}
        aria-valuetext={points[selected] && spoken(points[selected])}
        onKeyDown={(event) => moveBy(event, selected, points.length, select)}
      >
        {measures.map(({ name, title }) => (
          <div key={name}>
            <p class="chart-title">{title}</p>
            <div class={`chart chart-${name}`} />
          </div>
        ))}
      </div>
    </>
  );
}

interface ChartState {
  readonly points: readonly TimelinePoint[];
  readonly selected: number;
  readonly range: Range;
  readonly now: number;
  readonly select: (index: number) => void;
  readonly setHovered: (index: number | undefined) => void;
  readonly setRange: (range: Range) => void;
}

function useCharts(state: ChartState) {
  const host = useRef<HTMLDivElement>(null);
  const charts = useRef<TimelineCharts>(undefined);
  const latest = useRef(state);
  latest.current = state;
  useEffect(() => {
    if (!host.current) return undefined;
    charts.current = new TimelineCharts(host.current, {
      onHover: (index) => latest.current.setHovered(index),
      onSelect: (index) => latest.current.select(index),
      onZoom: (from, to) => latest.current.setRange({ from, to }),
    });
    return () => charts.current?.destroy();
  }, []);
  const { points, selected, range, now } = state;
  const [from, to] = useMemo(() => boundsOf(range, points, now), [range, points, now]);
  useEffect(() => charts.current?.show({ points, selected, from, to }), [points, selected, from, to]);
  return host;
}

function Ranges({ range, onChange }: { readonly range: Range; readonly onChange: (range: Range) => void }) {
  return (
    <div class="segmented" role="group" aria-label="Time shown">
      {presets.map((preset) => (
        <button
          key={preset.label}
          type="button"
          aria-pressed={preset.range === range}
          onClick={() => onChange(preset.range)}
        >
          {preset.label}
        </button>
      ))}
      {typeof range === 'object' && (
        <button type="button" aria-pressed="true">
          Zoomed
        </button>
      )}
    </div>
  );
}

/** The figures of the checkpoint under the pointer, else of the selected one; always in its place. */
function Readout({ point, now }: { readonly point: TimelinePoint; readonly now: number }) {
  return (
    <p class="readout">
      <span class="readout-time">{timeOfDay(point.capturedAt, now)}</span>
      <span>
        #{count(point.sequence)} {point.kind}
      </span>
      {measures.map(({ name, title, of, format }) => (
        <span key={name} class={`readout-${name}`}>
          {title.toLowerCase()} <b>{format(of(point))}</b>
        </span>
      ))}
    </p>
  );
}

function spoken(point: TimelinePoint): string {
  const figures = measures.map(({ title, of, format }) => `${title} ${format(of(point))}`);
  return [
    `Number ${point.sequence}`,
    point.kind,
    new Date(point.capturedAt).toLocaleString(),
    ...figures,
  ].join(', ');
}

const steps: Readonly<Record<string, (at: number, length: number) => number>> = {
  ArrowLeft: (at) => at - 1,
  ArrowRight: (at) => at + 1,
  PageUp: (at) => at + 10,
  PageDown: (at) => at - 10,
  Home: () => 0,
  End: (_at, length) => length - 1,
};

function moveBy(event: KeyboardEvent, at: number, length: number, select: (index: number) => void): void {
  const step = event.ctrlKey || event.metaKey || event.altKey ? undefined : steps[event.key];
  if (!step) return;
  event.preventDefault();
  select(step(at, length));
}
