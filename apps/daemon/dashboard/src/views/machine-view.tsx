import type { MachineStatus } from '../../../src/model.js';
import type { RequestError } from '../daemon/request.js';
import { dismissNotice } from '../state/actions.js';
import type { Timeline } from '../state/state.js';
import { exactTime } from '../words/format.js';
import { Facts } from './facts.js';
import { MachineActions } from './machine-actions.js';
import { Note } from './note.js';
import { StateBadge } from './state-badge.js';
import { TimelineSection } from './timeline-section.js';

interface Props {
  readonly machine: MachineStatus;
  readonly timeline: Timeline | undefined;
  readonly checkpoint: string | undefined;
  readonly notice: RequestError | undefined;
  readonly now: number;
}

export function MachineView({ machine, timeline, checkpoint, notice, now }: Props) {
  const problem = machine.lastProblem;
  return (
    <article aria-labelledby="machine-title">
      <header class="machine-head">
        <div class="machine-title">
          <h2 id="machine-title">{machine.name}</h2>
          <StateBadge machine={machine} now={now} />
          <p class="location">
            <code>{machine.location}</code> to <code>{machine.repository}</code>
          </p>
        </div>
        <MachineActions machine={machine} />
      </header>
      {notice && (
        <Note tone="bad" title={notice.message} hint={notice.hint} detail={notice.code}>
          <button type="button" onClick={dismissNotice}>
            Dismiss
          </button>
        </Note>
      )}
      {problem && (
        <Note
          tone={machine.state === 'waiting' || machine.state === 'stuck' ? 'bad' : 'warning'}
          title={problem.message}
          hint={problem.hint}
          detail={`${problem.code} · ${exactTime(problem.at)}`}
        />
      )}
      <Facts machine={machine} newest={timeline?.points?.at(-1)} now={now} />
      <TimelineSection machine={machine} timeline={timeline} checkpoint={checkpoint} now={now} />
    </article>
  );
}
