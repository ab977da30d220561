import type { StandbyJournal, StandbyPoint } from '@fitdoc/engine';
import type { Problem, StandbyState, StandbyStatus } from '../../model.js';
import type { StandbySettings } from '../../config/schema.js';
import { steadyNow } from '../steady-clock.js';

/** What is known of a standby, as it is shown. */
export class StandbyRecord {
  #state: StandbyState = 'waiting';
  #since = new Date().toISOString();
  #machineId: string | undefined;
  #ready: { readonly point: StandbyPoint; readonly behindMs: number; readonly atMs: number } | undefined;
  #promoted: StandbyStatus['promoted'];
  #problem: Problem | undefined;

  constructor(
    readonly name: string,
    readonly settings: StandbySettings,
  ) {}

  get state(): StandbyState {
    return this.#state;
  }

  set state(state: StandbyState) {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = new Date().toISOString();
  }

  set machineId(id: string) {
    this.#machineId = id;
  }

  set problem(problem: Problem | undefined) {
    this.#problem = problem;
  }

  /** The directory holds a state that the machine can be started from. */
  holds(point: StandbyPoint): void {
    if (point.state !== this.#ready?.point.state) {
      const behindMs = Math.max(0, Date.now() - point.capturedAtMs);
      this.#ready = { point, behindMs, atMs: steadyNow() };
    }
    this.#problem = undefined;
    if (this.#state !== 'promoting') this.state = 'ready';
  }

  /** It holds none, or that of a machine that runs from it. */
  holdsNone(promotion?: StandbyJournal['promotion']): void {
    this.#ready = undefined;
    const { location, pid, atMs } = promotion ?? {};
    this.#promoted =
      location === undefined || pid === undefined
        ? undefined
        : { at: new Date(atMs ?? 0).toISOString(), location, pid };
    if (this.#promoted) this.#problem = undefined;
    this.state = this.#promoted ? 'promoted' : 'waiting';
  }

  status(): StandbyStatus {
    const { machine = this.name, repository, dir } = this.settings;
    const ready = this.#ready;
    return {
      ...{ at: new Date().toISOString(), name: this.name, machine, repository, directory: dir },
      ...(this.#machineId !== undefined && { machineId: this.#machineId }),
      ...{ state: this.#state, since: this.#since },
      ...(ready && {
        ready: {
          id: ready.point.id,
          sequence: ready.point.sequence,
          capturedAt: new Date(ready.point.capturedAtMs).toISOString(),
        },
        behindMs: Math.round(ready.behindMs + steadyNow() - ready.atMs),
      }),
      ...(this.#promoted && { promoted: this.#promoted }),
      ...(this.#problem && { lastProblem: this.#problem }),
    };
  }
}
