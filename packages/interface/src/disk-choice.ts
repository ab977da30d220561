import { FitdocError } from './errors.js';
import type { DiskInfo } from './disk.js';
import type { AttachOptions } from './hypervisor.js';

export interface DiskChoice {
  /** Whether harvests bring disks. */
  readonly capture: boolean;
  /** All disks, those that were left out by name marked as that. */
  readonly disks: readonly DiskInfo[];
}

/**
 * Settles what an attachment does with a machine's disks; `canCapture` says whether the adapter can bring them,
 * `why` why it cannot.
 * Errors: ARGUMENT_INVALID (a disk to leave out is not there), MACHINE_HAS_DISKS, CAPABILITY_MISSING.
 */
export function chooseDisks(
  found: readonly DiskInfo[],
  options: Pick<AttachOptions, 'disks' | 'leaveOutDisks'>,
  canCapture: boolean,
  why?: string,
): DiskChoice {
  const { leaveOutDisks = [] } = options;
  const unknown = leaveOutDisks.filter((name) => !found.some((disk) => disk.name === name));
  if (unknown.length > 0) throw noSuchDisk(unknown, found);
  const disks = found.map((disk) => (leaveOutDisks.includes(disk.name) ? { ...disk, leftOut: true } : disk));
  const writable = disks.filter((disk) => disk.writable && disk.leftOut !== true);
  const mode = options.disks ?? (canCapture ? 'capture' : 'refuse');
  if (mode === 'capture' && !canCapture) throw cannotCapture(why);
  if (mode === 'refuse' && writable.length > 0)
    throw hasDisks(writable, options.disks === undefined ? why : undefined);
  return { capture: mode === 'capture' && writable.length > 0, disks };
}

function noSuchDisk(names: readonly string[], found: readonly DiskInfo[]): FitdocError {
  const there = found.map(({ name }) => name).join(', ');
  return new FitdocError('ARGUMENT_INVALID', `The machine has no disk ${names.join(', ')} to leave out.`, {
    hint: there === '' ? 'It has no disks.' : `It has: ${there}.`,
    details: { disks: names },
  });
}

function hasDisks(writable: readonly DiskInfo[], why: string | undefined): FitdocError {
  const names = writable.map(({ name, source }) => (source === undefined ? name : `${name} (${source})`));
  const because = why === undefined ? '' : ` They cannot be captured: ${why}.`;
  return new FitdocError('MACHINE_HAS_DISKS', `The guest writes to disks: ${names.join(', ')}.${because}`, {
    hint: 'A checkpoint without them holds memory alone. If you keep the disks consistent yourself, say so: disks "external".',
    details: { disks: names },
  });
}

function cannotCapture(why: string | undefined): FitdocError {
  const because = why === undefined ? '' : `: ${why}`;
  const message = `Disks of this machine cannot be stored with its checkpoints${because}.`;
  return new FitdocError('CAPABILITY_MISSING', message, {
    hint: 'Keep the disks consistent yourself and attach with disks "external".',
  });
}
