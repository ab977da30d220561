import type { RequestError } from '../daemon/request.js';
import { dismissNotice } from '../state/actions.js';
import { timeOf, type SeenMachine, type Timeline } from '../state/state.js';
import { exactTime } from '../words/format.js';
import { Facts } from './facts.js';
import { MachineActions } from './machine-actions.js';
import { Note } from './note.js';
import { StateBadge } from './state-badge.js';
import { TimelineSection } from './timeline-section.js';

/** How `--fork` names a chain of its own. */
const FORK = /\.fork-[0-9a-f]{8}$/;

interface Props {
  readonly machine: SeenMachine;
  readonly timeline: Timeline | undefined;
  readonly checkpoint: string | undefined;
  readonly notice: RequestError | undefined;
}

export function MachineView({ machine, timeline, checkpoint, notice }: Props) {
  const now = timeOf(machine);
  const { lastProblem: problem, lastDamage: damage } = machine;
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
      {machine.standing && (
        <Note
          tone="warning"
          title={machine.standing.message}
          hint={machine.standing.hint}
          detail={machine.standing.state}
        />
      )}
      {problem && (
        <Note
          tone={machine.state === 'waiting' || machine.state === 'stuck' ? 'bad' : 'warning'}
          title={problem.message}
          hint={problem.hint}
          detail={`${problem.code} · ${exactTime(problem.at)}`}
        />
      )}
      {damage && (
        <Note
          tone="warning"
          title={`Protection went on without a lost object: ${damage.message}`}
          hint={damage.hint}
          detail={[
            damage.key,
            damage.missing && `missing: checkpoint ${damage.missing}`,
            exactTime(damage.at),
          ]
            .filter(Boolean)
            .join(' · ')}
        />
      )}
      {machine.machineId !== undefined && FORK.test(machine.machineId) && (
        <Note
          tone="warning"
          title={`Its checkpoints are a fork, ${machine.machineId}: another guest writes the chain of this identity.`}
        />
      )}
      <Facts machine={machine} newest={timeline?.points?.at(-1)} now={now} />
      <TimelineSection machine={machine} timeline={timeline} checkpoint={checkpoint} now={now} />
    </article>
  );
}
