import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import type { MachineStatus } from '../../../src/model.js';
import { goTo } from '../state/route.js';
import type { TimelinePoint } from '../state/state.js';
import { ago, bytes, count, counted, exactTime, percent, shortId, timeOfDay } from '../words/format.js';
import { MemoryMapView } from './memory-map-view.js';
import { RestoreDialog } from './restore-dialog.js';

interface Props {
  readonly machine: MachineStatus;
  readonly point: TimelinePoint;
  readonly following: boolean;
  readonly now: number;
}

const WORD_BYTES = 8;

export function CheckpointDetail({ machine, point, following, now }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const restore = (): void => {
    // What is restored must not change under the dialog when the next checkpoint comes.
    goTo({ machine: machine.name, checkpoint: point.id });
    dialog.current?.showModal();
  };
  return (
    <section class="panel detail" aria-labelledby="detail-title">
      <div class="section-head">
        <h3 id="detail-title">
          {following ? 'Newest checkpoint' : 'Checkpoint'} #{count(point.sequence)}
        </h3>
        <p class="detail-time" title={exactTime(point.capturedAt)}>
          {timeOfDay(point.capturedAt, now)}, {ago(point.capturedAt, now)}
        </p>
        <button type="button" onClick={restore}>
          Restore…
        </button>
      </div>
      <div class="detail-columns">
        <dl class="pairs">
          <Pair name="Id">
            <code title={point.id}>{shortId(point.id)}</code>
          </Pair>
          <Pair name="Kind">{point.kind}</Pair>
          <Pair name="Parent">
            {point.parent === null ? 'none' : <code title={point.parent}>{shortId(point.parent)}</code>}
          </Pair>
          <Pair name="Restore reads">{readsOf(point)}</Pair>
          <Pair name="Changed words">
            {count(point.changedWords)} <span class="quiet">({bytes(point.changedWords * WORD_BYTES)})</span>
          </Pair>
          <Pair name="Stored">{storedOf(point)}</Pair>
          {point.tags.length > 0 && <Pair name="Tags">{point.tags.join(', ')}</Pair>}
        </dl>
        <MemoryMapView machine={machine} point={point} following={following} />
      </div>
      <RestoreDialog dialog={dialog} machine={machine} point={point} />
    </section>
  );
}

function readsOf({ readObjects, readBytes = 0 }: TimelinePoint): ComponentChildren {
  if (readObjects === undefined) return 'not known yet';
  return (
    <>
      {counted(readObjects, 'object')} <span class="quiet">({bytes(readBytes)})</span>
    </>
  );
}

function storedOf({ storedBytes, rawBytes }: TimelinePoint): ComponentChildren {
  if (!rawBytes) return bytes(storedBytes);
  return (
    <>
      {bytes(storedBytes)} <span class="quiet">({percent(storedBytes, rawBytes)} of the pages)</span>
    </>
  );
}

function Pair({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
