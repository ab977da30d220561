import type {
  DaemonEvent,
  JobStatus,
  LastCheckpoint,
  MachineStatus,
  TimelineEntry,
} from '../../../src/model.js';
import { learnTime } from '../daemon/clock.js';
import type { RequestError } from '../daemon/request.js';

/** A checkpoint on the timeline; what only the repository knows is missing until it was read again. */
export type TimelinePoint = Omit<TimelineEntry, 'rawBytes'> & { readonly rawBytes?: number };

export interface Timeline {
  readonly machine: string;
  /** In the order in which they were taken; undefined before the first answer. */
  readonly points?: readonly TimelinePoint[];
  readonly problem?: RequestError;
}

/** What the daemon said of a machine, and when that came, by what this computer measures. */
export interface SeenMachine extends MachineStatus {
  readonly seenMs: number;
}

export function seen(machine: MachineStatus): SeenMachine {
  learnTime(machine.at);
  return { ...machine, seenMs: performance.now() };
}

/** Milliseconds since the daemon said this. */
export function sinceSeen({ seenMs }: SeenMachine): number {
  return performance.now() - seenMs;
}

/** The daemon's time by the clock that it had when it said this: what it said fits to no other. */
export function timeOf(machine: SeenMachine): number {
  return Date.parse(machine.at) + sinceSeen(machine);
}

export type Connection =
  { readonly state: 'connecting' | 'live' } | { readonly state: 'lost'; readonly problem: RequestError };

export interface State {
  readonly connection: Connection;
  /** Undefined before the first answer. */
  readonly machines?: readonly SeenMachine[];
  /** Newest first. */
  readonly jobs: readonly JobStatus[];
  readonly timeline?: Timeline;
  /** What the last action of the user came to. */
  readonly notice?: RequestError;
}

export const initial: State = { connection: { state: 'connecting' }, jobs: [] };

/** The state after an event of the daemon. */
export function withEvent(state: State, event: DaemonEvent): State {
  switch (event.type) {
    case 'machine':
      return { ...state, machines: withMachine(state.machines ?? [], seen(event.machine)) };
    case 'job':
      return { ...state, jobs: withJob(state.jobs, event.job) };
    case 'checkpoint':
      return withCheckpoint(state, event.machine, event.checkpoint);
    case 'reloaded':
      return {
        ...state,
        ...(state.machines && {
          machines: state.machines.filter(({ name }) => event.machines.includes(name)),
        }),
      };
  }
}

function withMachine(machines: readonly SeenMachine[], machine: SeenMachine): SeenMachine[] {
  const known = machines.some(({ name }) => name === machine.name);
  return known
    ? machines.map((each) => (each.name === machine.name ? machine : each))
    : [...machines, machine];
}

function withJob(jobs: readonly JobStatus[], job: JobStatus): JobStatus[] {
  const known = jobs.some(({ id }) => id === job.id);
  return known ? jobs.map((each) => (each.id === job.id ? job : each)) : [job, ...jobs];
}

function withCheckpoint(state: State, machine: string, checkpoint: LastCheckpoint): State {
  const { timeline } = state;
  if (timeline?.machine !== machine || !timeline.points) return state;
  if (timeline.points.some(({ id }) => id === checkpoint.id)) return state;
  const parent = checkpoint.kind === 'base' ? null : (timeline.points.at(-1)?.id ?? null);
  const point: TimelinePoint = { ...checkpoint, parent, pages: checkpoint.dirtyPages, tags: [] };
  return { ...state, timeline: { ...timeline, points: [...timeline.points, point] } };
}
