import type { MachineStatus } from '../../../src/model.js';
import { MOST_POINTS, refreshTimeline } from '../state/timeline.js';
import type { Timeline } from '../state/state.js';
import { count } from '../words/format.js';
import { CheckpointDetail } from './checkpoint-detail.js';
import { CheckpointTable } from './checkpoint-table.js';
import { Note } from './note.js';
import { TimelineView } from './timeline-view.js';

interface Props {
  readonly machine: MachineStatus;
  readonly timeline: Timeline | undefined;
  readonly checkpoint: string | undefined;
  readonly now: number;
}

export function TimelineSection({ machine, timeline, checkpoint, now }: Props) {
  const { points, problem } = timeline ?? {};
  const chosen = checkpoint === undefined ? -1 : (points?.findIndex(({ id }) => id === checkpoint) ?? -1);
  const index = chosen >= 0 ? chosen : (points?.length ?? 0) - 1;
  const point = points?.[index];
  return (
    <>
      <section class="panel timeline" aria-labelledby="timeline-title">
        {problem && (
          <Note
            tone="bad"
            title={`The timeline cannot be read: ${problem.message}`}
            hint={problem.hint}
            detail={problem.code}
          >
            <button type="button" onClick={refreshTimeline}>
              Try again
            </button>
          </Note>
        )}
        {!points && !problem && <p class="quiet">Loading the timeline</p>}
        {points?.length === 0 && <NoCheckpoints machine={machine} />}
        {points && point && (
          <TimelineView
            machine={machine.name}
            points={points}
            selected={index}
            following={chosen < 0}
            now={now}
          />
        )}
        {points && points.length >= MOST_POINTS && (
          <p class="quiet">The newest {count(MOST_POINTS)} checkpoints are shown; `fitdoc list` has all.</p>
        )}
        {points && checkpoint !== undefined && chosen < 0 && points.length > 0 && (
          <p class="quiet">The checkpoint {checkpoint} is not there any more; the newest is shown instead.</p>
        )}
      </section>
      {point && <CheckpointDetail machine={machine} point={point} following={chosen < 0} now={now} />}
      {points && point && (
        <CheckpointTable machine={machine.name} points={points} selected={point.id} now={now} />
      )}
    </>
  );
}

function NoCheckpoints({ machine }: { readonly machine: MachineStatus }) {
  return (
    <div class="empty small">
      <h3 id="timeline-title">No checkpoint yet</h3>
      <p>
        {machine.state === 'waiting' || machine.state === 'stuck'
          ? 'The first is taken as soon as the machine can be attached.'
          : `The schedule is ${machine.schedule}. “Checkpoint now” does not wait for it.`}
      </p>
    </div>
  );
}
