import { FitdocError } from '@fitdoc/interface';

interface Meaning {
  /** Completes "The guest ...". */
  readonly what: string;
  readonly hint: string;
}

const MEANINGS: Readonly<Record<string, Meaning>> = {
  paused: {
    what: 'was paused by its operator',
    hint: 'It is left so; checkpoints go on by themselves when its operator lets it run ("cont").',
  },
  suspended: {
    what: 'is suspended to RAM',
    hint: 'It is left so; checkpoints go on by themselves after its wake-up ("system_wakeup", or its own).',
  },
  'guest-panicked': {
    what: 'panicked, and QEMU keeps it standing',
    hint: 'Look at it, or dump its memory, then "system_reset" and "cont".',
  },
  'io-error': {
    what: 'was stopped by an error of its disk',
    hint: 'Mend what the disk stands on (often: make room), then "cont": QEMU repeats what failed.',
  },
  shutdown: {
    what: 'has powered off, and QEMU was told to stay (-no-shutdown)',
    hint: 'End QEMU ("quit"), or start the guest anew: "system_reset", then "cont".',
  },
  watchdog: {
    what: 'was stopped by its watchdog',
    hint: 'Look at it; "cont" lets it go on, "system_reset" starts it anew.',
  },
  debug: {
    what: 'is stopped by a debugger',
    hint: 'Checkpoints go on by themselves when the debugger lets it run.',
  },
  prelaunch: {
    what: 'has not been started (-S)',
    hint: 'Send "cont" to QEMU, then attach.',
  },
  inmigrate: {
    what: 'is yet to come: this QEMU waits for an incoming machine',
    hint: 'Restore a checkpoint into it, or start QEMU without -incoming.',
  },
  postmigrate: {
    what: 'was migrated out of this QEMU, or saved, and stands since',
    hint: 'Send "cont" to QEMU only if the guest runs nowhere else.',
  },
  'internal-error': {
    what: 'was stopped by an internal error of the hypervisor',
    hint: 'See the log of QEMU; only "system_reset" helps, then "cont".',
  },
  'save-vm': { what: 'stands while a snapshot of it is taken', hint: 'Wait for the end of "savevm".' },
  'restore-vm': { what: 'stands while a snapshot is loaded into it', hint: 'Wait for the end of "loadvm".' },
};

/** States of a guest that stands, whole, in this QEMU and nowhere else. */
const WHOLE = new Set(['paused', 'shutdown', 'guest-panicked', 'io-error', 'watchdog']);

/** Whether a guest that QEMU calls `state` can be captured as it stands. */
export function standsWhole(state: string): boolean {
  return WHOLE.has(state);
}

/** MACHINE_NOT_RUNNING for a guest that QEMU calls `state`, with that state's name and remedy. */
export function notRunning(state: string): FitdocError {
  const { what, hint } = MEANINGS[state] ?? {
    what: `does not run (QEMU calls it "${state}")`,
    hint: 'Checkpoints go on by themselves when it runs.',
  };
  const ended = state === 'shutdown' ? { ended: true } : {};
  return new FitdocError('MACHINE_NOT_RUNNING', `The guest ${what}.`, {
    hint,
    retryable: true,
    details: { state, ...ended },
  });
}
