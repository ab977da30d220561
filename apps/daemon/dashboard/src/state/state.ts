import type {
  DaemonEvent,
  JobStatus,
  LastCheckpoint,
  MachineStatus,
  StandbyStatus,
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

/** What the daemon said of a standby, and when that came. */
export interface SeenStandby extends StandbyStatus {
  readonly seenMs: number;
}

export function seenStandby(standby: StandbyStatus): SeenStandby {
  learnTime(standby.at);
  return { ...standby, seenMs: performance.now() };
}

/** Milliseconds since the daemon said this. */
export function sinceSeen({ seenMs }: { readonly seenMs: number }): number {
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
  readonly standbys: readonly SeenStandby[];
  /** Newest first. */
  readonly jobs: readonly JobStatus[];
  readonly timeline?: Timeline;
  /** What the last action of the user came to. */
  readonly notice?: RequestError;
}

export const initial: State = { connection: { state: 'connecting' }, standbys: [], jobs: [] };

/** The state after an event of the daemon. */
export function withEvent(state: State, event: DaemonEvent): State {
  switch (event.type) {
    case 'machine':
      return { ...state, machines: withNamed(state.machines ?? [], seen(event.machine)) };
    case 'standby':
      return { ...state, standbys: withNamed(state.standbys, seenStandby(event.standby)) };
    case 'job':
      return { ...state, jobs: withJob(state.jobs, event.job) };
    case 'checkpoint':
      return withCheckpoint(state, event.machine, event.checkpoint);
    case 'reloaded':
      return {
        ...state,
        standbys: state.standbys.filter(({ name }) => event.standbys.includes(name)),
        ...(state.machines && {
          machines: state.machines.filter(({ name }) => event.machines.includes(name)),
        }),
      };
  }
}

function withNamed<One extends { readonly name: string }>(all: readonly One[], one: One): One[] {
  const known = all.some(({ name }) => name === one.name);
  return known ? all.map((each) => (each.name === one.name ? one : each)) : [...all, one];
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
