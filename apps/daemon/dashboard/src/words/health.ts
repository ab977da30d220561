import type { MachineStatus } from '../../../src/model.js';

export type Tone = 'good' | 'busy' | 'idle' | 'warning' | 'bad';

export interface Health {
  readonly tone: Tone;
  readonly label: string;
  /** For a tooltip: what the label means here. */
  readonly meaning: string;
}

/** How late a checkpoint may be before that is worth a warning, at the least. */
const LATE_MS = 10_000;

/** Short names of what a guest may stand for that we did not stop. */
const STANDING: Readonly<Record<string, string>> = {
  paused: 'Paused by its operator',
  suspended: 'Suspended to RAM',
  'guest-panicked': 'Panicked',
  'io-error': 'Stopped by a disk error',
  shutdown: 'Powered off',
};

/** What an operator has to know first of a machine. */
export function healthOf(machine: MachineStatus, now: number): Health {
  switch (machine.state) {
    case 'stuck':
      return {
        tone: 'bad',
        label: 'Guest paused',
        meaning: 'The guest was left paused and needs an operator.',
      };
    case 'waiting':
      if (machine.lastProblem?.code === 'MACHINE_CONFLICT')
        return { tone: 'bad', label: 'Another writer', meaning: machine.lastProblem.message };
      return machine.lastProblem
        ? { tone: 'bad', label: 'Not protected', meaning: 'The last try failed; the next follows by itself.' }
        : { tone: 'busy', label: 'Waiting', meaning: 'Not attached yet.' };
    case 'attaching':
      return {
        tone: 'busy',
        label: 'Attaching',
        meaning: 'Connecting to the machine and loading its image.',
      };
    case 'standing':
      return {
        tone: 'idle',
        label: STANDING[machine.standing?.state ?? ''] ?? 'Guest stands',
        meaning: machine.standing?.message ?? 'The guest does not run; it is left so.',
      };
    case 'released':
      return {
        tone: 'idle',
        label: 'Released',
        meaning: 'Its operator has it for a while; nothing is attached. It is taken back by itself.',
      };
    case 'suspended':
      return { tone: 'idle', label: 'Suspended', meaning: 'No scheduled checkpoints until it is resumed.' };
    case 'capturing':
    case 'protected':
      return protectedHealth(machine, now);
  }
}

function protectedHealth(machine: MachineStatus, now: number): Health {
  const late = latenessMs(machine, now);
  if (late > 0) {
    return { tone: 'warning', label: 'Behind', meaning: 'A checkpoint is overdue.' };
  }
  if (machine.lastProblem) {
    return { tone: 'warning', label: 'Problem', meaning: machine.lastProblem.message };
  }
  // At short intervals the two states alternate faster than anyone reads: they share one label.
  return machine.state === 'capturing'
    ? { tone: 'good', label: 'Protected', meaning: 'A checkpoint is being taken.' }
    : { tone: 'good', label: 'Protected', meaning: 'Attached; checkpoints are taken when they are due.' };
}

/** By how much the next checkpoint is overdue; 0 when it is not. */
export function latenessMs({ nextDueAt, intervalMs }: MachineStatus, now: number): number {
  if (nextDueAt === undefined) return 0;
  const late = now - Date.parse(nextDueAt);
  return late > Math.max(LATE_MS, 2 * (intervalMs ?? 0)) ? late : 0;
}

export function needsAttention(machine: MachineStatus, now: number): boolean {
  const { tone } = healthOf(machine, now);
  return tone === 'bad' || tone === 'warning';
}
