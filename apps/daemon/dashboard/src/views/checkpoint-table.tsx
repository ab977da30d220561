import { useState } from 'preact/hooks';
import { linkTo } from '../state/route.js';
import type { TimelinePoint } from '../state/state.js';
import { bytes, count, counted, exactTime, milliseconds, shortId, timeOfDay } from '../words/format.js';

const STEP = 50;

interface Props {
  readonly machine: string;
  readonly points: readonly TimelinePoint[];
  readonly selected: string;
  readonly now: number;
}

/** The timeline as figures, newest first; drawn only when it is asked for. */
export function CheckpointTable({ machine, points, selected, now }: Props) {
  const [open, setOpen] = useState(false);
  const [rows, setRows] = useState(STEP);
  const shown = open ? points.slice(-rows).reverse() : [];
  return (
    <details class="panel table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h3>All figures</h3>
        <span class="quiet">{counted(points.length, 'checkpoint')}</span>
      </summary>
      <div class="table-scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Number</th>
              <th scope="col">Captured</th>
              <th scope="col">Kind</th>
              <th scope="col">Pause</th>
              <th scope="col">Dirty pages</th>
              <th scope="col">Changed words</th>
              <th scope="col">Stored</th>
              <th scope="col">Restore reads</th>
              <th scope="col">Id</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((point) => (
              <tr key={point.id} aria-current={point.id === selected ? 'true' : undefined}>
                <td>#{count(point.sequence)}</td>
                <td title={exactTime(point.capturedAt)}>{timeOfDay(point.capturedAt, now)}</td>
                <td>{point.kind}</td>
                <td>{milliseconds(point.pauseMs)}</td>
                <td>{count(point.dirtyPages)}</td>
                <td>{count(point.changedWords)}</td>
                <td>{bytes(point.storedBytes)}</td>
                <td>{point.readObjects ?? '–'}</td>
                <td>
                  <a href={linkTo({ machine, checkpoint: point.id })} title={point.id}>
                    <code>{shortId(point.id)}</code>
                  </a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows < points.length && (
        <button type="button" class="plain" onClick={() => setRows(rows + 4 * STEP)}>
          Show more
        </button>
      )}
    </details>
  );
}
