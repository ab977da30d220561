import type { JobStatus } from '../../../src/model.js';
import { ask, asRequestError } from '../daemon/request.js';
import { withEvent } from './state.js';
import { store } from './store.js';

const pathOf = (machine: string, verb: string): string =>
  `v1/machines/${encodeURIComponent(machine)}/${verb}`;

/** Starts a job; its progress comes with the events. False, with a notice, when it was refused. */
export function start(
  machine: string,
  verb: 'checkpoint' | 'restore' | 'verify' | 'prune',
  body?: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  return startAt(pathOf(machine, verb), body);
}

/** Starts the machine of a standby, as a job. */
export function promote(standby: string): Promise<boolean> {
  return startAt(`v1/standbys/${encodeURIComponent(standby)}/promote`);
}

function startAt(path: string, body?: Readonly<Record<string, unknown>>): Promise<boolean> {
  return act(async () => {
    const job = await ask<JobStatus>('POST', path, body);
    // Its events may have been faster than the answer.
    store.update((state) =>
      state.jobs.some(({ id }) => id === job.id) ? state : withEvent(state, { type: 'job', job }),
    );
  });
}

/** The answer is older than the events that follow from it, and may come after them: it is not looked at. */
export function setSuspended(machine: string, suspended: boolean): Promise<boolean> {
  return act(async () => {
    await ask('POST', pathOf(machine, suspended ? 'suspend' : 'resume'));
  });
}

/** Lets go of a machine for a time such as `10m`; `setSuspended(machine, false)` takes it back. */
export function release(machine: string, time: string): Promise<boolean> {
  return act(async () => {
    await ask('POST', pathOf(machine, 'release'), { for: time });
  });
}

export function cancel(job: string): Promise<boolean> {
  return act(async () => {
    await ask<JobStatus>('DELETE', `v1/jobs/${encodeURIComponent(job)}`);
  });
}

export function dismissNotice(): void {
  store.update(({ notice: _, ...state }) => state);
}

async function act(action: () => Promise<void>): Promise<boolean> {
  dismissNotice();
  try {
    await action();
    return true;
  } catch (error) {
    store.update((state) => ({ ...state, notice: asRequestError(error) }));
    return false;
  }
}
