import { useEffect, useRef, useState } from 'preact/hooks';
import type { MachineStatus, MemoryMap } from '../../../src/model.js';
import { onThemeChange, readColours } from '../charts/colours.js';
import { binAt, paint, shapeOf, type GridShape } from '../charts/memory-grid.js';
import { ask, asRequestError, type RequestError } from '../daemon/request.js';
import { useCalm } from '../state/clock.js';
import type { TimelinePoint } from '../state/state.js';
import { bytes, count, counted, percent } from '../words/format.js';
import { Note } from './note.js';

const PAGE_BYTES = 4096;
const MOST_BINS = matchMedia('(max-width: 600px)').matches ? 1024 : 4096;
/** While the newest checkpoint is followed, its map is read no more often than this. */
const CALM_MS = 4000;

interface Props {
  readonly machine: MachineStatus;
  readonly point: TimelinePoint;
  readonly following: boolean;
}

export function MemoryMapView({ machine, point, following }: Props) {
  const checkpoint = useCalm(point.id, following ? machine.name : point.id, CALM_MS);
  const { map, problem } = useMemoryMap(machine, checkpoint);
  return (
    <figure class="memory">
      <figcaption>
        <h4>
          Memory {map?.kind === 'base' ? 'in' : 'that changed in'} #{count(map?.sequence ?? point.sequence)}
        </h4>
        {map && <p class="quiet">{summaryOf(map)}</p>}
      </figcaption>
      {problem && <Note tone="warning" title={problem.message} hint={problem.hint} detail={problem.code} />}
      {map && <Grid map={map} />}
      {!map && !problem && <div class="memory-wait" aria-hidden="true" />}
    </figure>
  );
}

interface Answer {
  readonly map?: MemoryMap;
  readonly problem?: RequestError;
}

/** The last map stays until the next is there: a page that blinks cannot be compared. */
function useMemoryMap({ name, memoryBytes }: MachineStatus, checkpoint: string): Answer {
  const [answer, setAnswer] = useState<Answer>({});
  useEffect(() => {
    const gone = new AbortController();
    const path = `v1/machines/${encodeURIComponent(name)}/memory-map?checkpoint=${checkpoint}&bins=${binsFor(memoryBytes)}`;
    ask<MemoryMap>('GET', path, undefined, gone.signal).then(
      (map) => setAnswer({ map }),
      (error: unknown) => gone.signal.aborted || setAnswer({ problem: asRequestError(error) }),
    );
    return () => gone.abort();
  }, [name, memoryBytes, checkpoint]);
  return answer;
}

/** As many stretches as make each a power of two of pages: then rows begin at round addresses. */
function binsFor(memoryBytes: number | undefined): number {
  if (memoryBytes === undefined) return MOST_BINS;
  const pages = Math.ceil(memoryBytes / PAGE_BYTES);
  let pagesPerBin = 1;
  while (pages / pagesPerBin > MOST_BINS + 64) pagesPerBin *= 2;
  return Math.max(1, Math.ceil(pages / pagesPerBin));
}

function Grid({ map }: { readonly map: MemoryMap }) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [shape, setShape] = useState<GridShape>();
  const [hovered, setHovered] = useState<number>();
  useEffect(() => {
    const draw = (): void => {
      if (!host.current || !canvas.current) return;
      const next = shapeOf(map.bins.length, host.current.clientWidth);
      setShape(next);
      paint(canvas.current, map, next, readColours(), (gfn) => bytes(gfn * PAGE_BYTES));
      canvas.current.style.height = `${next.height}px`;
    };
    draw();
    const observer = new ResizeObserver(draw);
    if (host.current) observer.observe(host.current);
    const forget = onThemeChange(draw);
    return () => {
      observer.disconnect();
      forget();
    };
  }, [map]);
  const hover = (event: MouseEvent): void => {
    const bin = shape && binAt(shape, event.offsetX, event.offsetY);
    setHovered(bin !== undefined && bin < map.bins.length ? bin : undefined);
  };
  return (
    <>
      <div ref={host} class="memory-grid">
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${summaryOf(map)} ${map.regions.map(({ name, pages }) => `${name}: ${counted(pages, 'page')}`).join(', ')}`}
          onMouseMove={hover}
          onMouseLeave={() => setHovered(undefined)}
        />
      </div>
      <div class="memory-foot">
        <p class="quiet">
          {hovered === undefined
            ? `One cell is ${bytes(map.pagesPerBin * PAGE_BYTES)}`
            : binText(map, hovered)}
        </p>
        <p class="legend" aria-hidden="true">
          none
          {[0, 1, 2, 3, 4, 5].map((step) => (
            <i key={step} class={`heat-${step}`} />
          ))}
          all of it
        </p>
      </div>
    </>
  );
}

function summaryOf(map: MemoryMap): string {
  const pages = map.bins.reduce((sum, changed) => sum + changed, 0);
  const note = map.exact ? '' : ', places approximate';
  return `${counted(pages, 'page')} of ${count(map.pages)} (${percent(pages, map.pages)})${note}`;
}

function binText(map: MemoryMap, bin: number): string {
  const first = bin * map.pagesPerBin;
  const last = Math.min(map.pages, first + map.pagesPerBin);
  const regions = map.regions.filter(({ firstGfn, pages }) => firstGfn < last && firstGfn + pages > first);
  const names = regions.map(({ name }) => name).join(', ');
  return `${count(map.bins[bin] ?? 0)} of ${counted(last - first, 'page')} from page ${count(first)} (${names})`;
}
