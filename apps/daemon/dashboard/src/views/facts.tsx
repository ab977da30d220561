import type { ComponentChildren } from 'preact';
import type { MachineStatus } from '../../../src/model.js';
import { ago, bytes, count, exactTime, milliseconds, span } from '../words/format.js';
import { latenessMs } from '../words/health.js';

/** The figures that tell how well a machine is protected. */
export function Facts({ machine, now }: { readonly machine: MachineStatus; readonly now: number }) {
  const {
    lastCheckpoint: last,
    lastVerifiedAt,
    chainDepth,
    memoryBytes,
    hypervisor,
    missed,
    failures,
  } = machine;
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
      <Fact name="Next" title={machine.nextDueAt && exactTime(machine.nextDueAt)}>
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

function nextOf({ nextDueAt, schedule, state }: MachineStatus, now: number): string {
  if (state === 'suspended') return 'suspended';
  if (nextDueAt === undefined) return schedule;
  const wait = Date.parse(nextDueAt) - now;
  if (state === 'waiting' || state === 'stuck') return wait > 0 ? `tries again in ${span(wait)}` : 'trying';
  return wait > 60_000 ? `in ${span(wait)}` : schedule;
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
