import { FitdocError } from '@fitdoc/interface';

interface Meaning {
  /** Completes "The guest ...". */
  readonly what: string;
  readonly hint: string;
  /** It will not run again by itself, and that is no failure. */
  readonly ended?: true;
}

/** The ways in which a domain stands, or is somebody else's, by its operator's doing or its own. */
const MEANINGS = {
  paused: {
    what: 'was paused by its operator',
    hint: 'It is left so; `xl unpause` it, and checkpoints go on by themselves.',
  },
  crashed: { what: 'has crashed', hint: 'Look at it, then `xl destroy` it and restore a checkpoint.' },
  shutdown: {
    what: 'is shutting down, or has powered off',
    hint: 'Start it anew with `xl create`.',
    ended: true,
  },
  rebooting: { what: 'is being rebooted', hint: 'Attach again when it has been started anew.' },
  suspended: {
    what: 'is suspended, and not by this process',
    hint:
      'It is left so while somebody saves it. Should nobody do so any more, attach in dom0 with ' +
      'config.resume set to true, or `xl destroy` it and restore a checkpoint.',
  },
  migrating: {
    what: 'is being saved or migrated by its toolstack',
    hint: 'It is left alone; checkpoints go on by themselves when that has ended, with all of the memory once.',
  },
} as const satisfies Record<string, Meaning>;

export type StandingState = keyof typeof MEANINGS;

/** MACHINE_NOT_RUNNING for a guest that stands in this way, with that state's name and remedy. */
export function notRunning(state: StandingState): FitdocError {
  const { what, hint, ...rest }: Meaning = MEANINGS[state];
  return new FitdocError('MACHINE_NOT_RUNNING', `The guest ${what}.`, {
    hint,
    retryable: true,
    details: { state, ...(rest.ended && { ended: true }) },
  });
}

/** MACHINE_GONE for a domain that ended in this way, or is no longer there. */
export function goneBy(name: string, state: 'crashed' | 'shutdown' | 'rebooting' | undefined): FitdocError {
  if (state === undefined) {
    return new FitdocError('MACHINE_GONE', `The domain ${name} is no longer there.`, {
      hint: 'It crashed, was shut down, destroyed or migrated away; restore it from its latest checkpoint if need be.',
    });
  }
  const { what, hint, ...rest }: Meaning = MEANINGS[state];
  return new FitdocError('MACHINE_GONE', `The domain ${name} ${what}.`, {
    hint,
    details: { state, ...(rest.ended && { ended: true }) },
  });
}
