import type { ComponentChildren } from 'preact';
import type { HistoryStatus, MachineStatus } from '../../../src/model.js';
import { sinceSeen, type SeenMachine, type TimelinePoint } from '../state/state.js';
import { age, ago, bytes, count, counted, exactTime, milliseconds, span } from '../words/format.js';
import { latenessMs } from '../words/health.js';

interface Props {
  readonly machine: SeenMachine;
  /** Of the timeline: a machine that is not attached does not tell of its checkpoints itself. */
  readonly newest: TimelinePoint | undefined;
  readonly now: number;
}

/** The figures that tell how well a machine is protected. */
export function Facts({ machine, newest, now }: Props) {
  const { lastVerifiedAt, history, memoryBytes, hypervisor, missed, failures, pauseBudget } = machine;
  const last = machine.lastCheckpoint ?? newest;
  const late = latenessMs(machine, now);
  return (
    <dl class="facts">
      <Fact
        name="Last checkpoint"
        title={last && exactTime(last.capturedAt)}
        tone={late > 0 ? 'warning' : undefined}
      >
        {lastAge(machine, newest, now)}
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
      {machine.lastBoot && (
        <Fact
          name="Last start"
          title={`${machine.lastBoot.about}, ${exactTime(machine.lastBoot.at)}`}
          tone={machine.lastBoot.verdict === 'runs' ? undefined : 'warning'}
        >
          {`${machine.lastBoot.verdict}, ${ago(machine.lastBoot.at, now)}`}
        </Fact>
      )}
      <Fact
        name="Restore reads"
        title={history && readsTitle(history)}
        tone={history && history.lagObjects > 0 ? 'warning' : undefined}
      >
        {history ? counted(history.pathObjects, 'object') : '–'}
      </Fact>
      <Fact name="Restore points" title={history && pointsTitle(history)}>
        {machine.restorePoints === undefined ? '–' : count(machine.restorePoints)}
      </Fact>
      <Fact name="Freed" title={history && freedTitle(history)}>
        {history ? bytes(history.freedBytes) : '–'}
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
      {pauseBudget && (
        <Fact
          name="Pauses kept"
          title={`Over the budget: ${count(pauseBudget.exceeded)}. Left out for it: ${count(pauseBudget.refused)}`}
          tone={pauseBudget.exceeded + pauseBudget.refused > 0 ? 'warning' : undefined}
        >
          {count(pauseBudget.kept)}
        </Fact>
      )}
    </dl>
  );
}

function readsTitle({ worstPathObjects, lagObjects, lagSeconds }: HistoryStatus): string {
  const most = `A restore of the newest checkpoint reads so many; of any kept one at most ${worstPathObjects}.`;
  return lagObjects > 0 ? `${most} Merging lags ${span(lagSeconds * 1000)} behind.` : most;
}

function pointsTitle({ keptPoints, keptBy, surplusPoints, reachedAgeMs }: HistoryStatus): string {
  const rules = keptBy.map(({ rule, points }) => `${rule} ${count(points)}`).join(', ');
  const kept = `${count(keptPoints)} are kept${rules && `: ${rules}`}. ${count(surplusPoints)} more go when that is worth it.`;
  const reached =
    reachedAgeMs === undefined
      ? 'The rules were not reached yet.'
      : `The rules were last reached ${age(reachedAgeMs)}.`;
  return `${kept} ${reached}`;
}

function freedTitle({ removed, merges, mergedBytes, capturedBytes }: HistoryStatus): string {
  const gone = `Since the daemon started ${counted(removed, 'object')} went;`;
  const written = `${counted(merges, 'merge')} wrote ${bytes(mergedBytes)} while ${bytes(capturedBytes)} were captured.`;
  return `${gone} ${written}`;
}

function lastAge(machine: SeenMachine, newest: TimelinePoint | undefined, now: number): string {
  if (machine.lastCheckpoint) return age(machine.successAgeMs + sinceSeen(machine));
  return newest ? ago(newest.capturedAt, now) : 'none yet';
}

function nextOf({ nextDueAt, intervalMs, schedule, state }: MachineStatus, now: number): string {
  if (state === 'suspended') return 'suspended';
  if (state === 'standing') return 'when it runs';
  const wait = nextDueAt === undefined ? undefined : Date.parse(nextDueAt) - now;
  if (state === 'released') return wait !== undefined && wait > 0 ? `back in ${span(wait)}` : 'back now';
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
