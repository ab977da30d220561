import type { ComponentChildren } from 'preact';
import type { MachineStatus } from '../../../src/model.js';
import type { TimelinePoint } from '../state/state.js';
import { ago, bytes, count, exactTime, milliseconds, span } from '../words/format.js';
import { latenessMs } from '../words/health.js';

interface Props {
  readonly machine: MachineStatus;
  /** Of the timeline: a machine that is not attached does not tell of its checkpoints itself. */
  readonly newest: TimelinePoint | undefined;
  readonly now: number;
}

/** The figures that tell how well a machine is protected. */
export function Facts({ machine, newest, now }: Props) {
  const { lastVerifiedAt, chainDepth, memoryBytes, hypervisor, missed, failures } = machine;
  const last = machine.lastCheckpoint ?? newest;
  const late = latenessMs(machine, now);
  return (
    <dl class="facts">
      <Fact
        name="Last checkpoint"
        title={last && exactTime(last.capturedAt)}
        tone={late > 0 ? 'warning' : undefined}
      >
        {last ? ago(last.capturedAt, now) : 'none yet'}
      </Fact>
      <Fact name="Next" title={machine.schedule}>
        {nextOf(machine, now)}
      </Fact>
      <Fact name="Pause">{last ? milliseconds(last.pauseMs) : '–'}</Fact>
      <Fact
        name="Last verification"
        title={lastVerifiedAt && exactTime(lastVerifiedAt)}
        tone={lastVerifiedAt === undefined && last ? 'warning' : undefined}
      >
        {lastVerifiedAt ? ago(lastVerifiedAt, now) : 'never'}
      </Fact>
      <Fact name="Chain depth" title="Checkpoints that a restore of the newest reads">
        {chainDepth === undefined ? '–' : count(chainDepth)}
      </Fact>
      <Fact name="Memory" title={hypervisor}>
        {memoryBytes === undefined ? '–' : bytes(memoryBytes)}
      </Fact>
      <Fact
        name="Failed"
        title="Checkpoints that failed since the daemon started"
        tone={failures > 0 ? 'warning' : undefined}
      >
        {count(failures)}
      </Fact>
      <Fact
        name="Missed"
        title="Scheduled checkpoints that were left out because the machine fell behind"
        tone={missed > 0 ? 'warning' : undefined}
      >
        {count(missed)}
      </Fact>
    </dl>
  );
}

function nextOf({ nextDueAt, intervalMs, schedule, state }: MachineStatus, now: number): string {
  if (state === 'suspended') return 'suspended';
  const wait = nextDueAt === undefined ? undefined : Date.parse(nextDueAt) - now;
  if (state === 'waiting' || state === 'stuck') {
    return wait !== undefined && wait > 0 ? `retry in ${span(wait)}` : 'trying';
  }
  // Nobody can read a countdown of a few seconds.
  if (intervalMs !== undefined && intervalMs < 10_000) return `every ${milliseconds(intervalMs)}`;
  if (wait === undefined) return schedule;
  return wait > 500 ? `in ${span(wait)}` : 'now';
}

interface FactProps {
  readonly name: string;
  readonly title?: string | undefined;
  readonly tone?: 'warning' | undefined;
  readonly children: ComponentChildren;
}

function Fact({ name, title, tone, children }: FactProps) {
  return (
    <div class="fact" title={title}>
      <dt>{name}</dt>
      <dd class={tone && `tone-${tone}`}>{children}</dd>
    </div>
  );
}
