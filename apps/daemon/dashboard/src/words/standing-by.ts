import type { StandbyStatus } from '../../../src/model.js';
import { age } from './format.js';
import type { Health } from './health.js';

/** What an operator has to know first of a standby. */
export function standbyHealth({ state, lastProblem }: StandbyStatus): Health {
  switch (state) {
    case 'ready':
      return lastProblem
        ? { tone: 'warning', label: 'Ready, not followed', meaning: lastProblem.message }
        : { tone: 'good', label: 'Ready', meaning: 'The machine can be started here.' };
    case 'reading':
      return { tone: 'busy', label: 'Reading', meaning: 'All of the memory is being read.' };
    case 'promoting':
      return { tone: 'busy', label: 'Promoting', meaning: 'The machine is being started here.' };
    case 'promoted':
      return { tone: 'idle', label: 'Promoted', meaning: 'The machine was started here.' };
    case 'waiting':
      return lastProblem
        ? { tone: 'bad', label: 'Not ready', meaning: lastProblem.message }
        : { tone: 'busy', label: 'Waiting', meaning: 'Nothing is ready yet.' };
  }
}

/** How far behind it is, or where its machine runs. */
export function standbyPlace({ behindMs, promoted }: StandbyStatus, sinceMs: number): string {
  if (promoted) return `Runs at ${promoted.location}`;
  return behindMs === undefined ? 'Holds nothing yet' : `Holds the state of ${age(behindMs + sinceMs)}`;
}
