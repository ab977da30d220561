import { FitdocError } from '@fitdoc/interface';
import type { ClaimRecord, FoundClaim, Writer } from './claim-record.js';
import type { Takeover } from './takeover.js';

/** MACHINE_CONFLICT: another process writes the chain of the machine, of another guest perhaps. */
export function conflict(machine: string, ours: Writer, theirs: FoundClaim): FitdocError {
  const { record } = theirs;
  const other = record ? placeOf(record) : 'someone unknown';
  return new FitdocError(
    'MACHINE_CONFLICT',
    `The chain of ${machine} is written by ${other}; ${ours.location} has the same identity.`,
    {
      retryable: true,
      hint:
        'Give one of the two an identity of its own (--machine-id NAME, machine-id in the configuration), or let it ' +
        `go on as a fork (--fork). If the other has ended, its claim ends ${ttlOf(record)} s after its last sign of life.`,
      details: { machine, location: ours.location, writer: record && shown(record), key: theirs.key },
    },
  );
}

/** MACHINE_CONFLICT for a claim that was lost while nobody could refresh it. */
export function takenOver(machine: string, ours: Writer): FitdocError {
  return new FitdocError(
    'MACHINE_CONFLICT',
    `The claim of ${ours.location} to the chain of ${machine} was taken over by another writer.`,
    { retryable: true, hint: 'See who writes it now: fitdoc status, or try again.', details: { machine } },
  );
}

/** MACHINE_CONFLICT for a guest that is not the one that goes on as the machine since it was taken over. */
export function fenced(machine: string, ours: Writer, takeover: Takeover): FitdocError {
  return new FitdocError(
    'MACHINE_CONFLICT',
    `${machine} was taken over: since ${timeOf(takeover)} it goes on at ${takeover.place}; ${ours.location} is what it was before.`,
    {
      hint:
        'Stop this guest, or let it go on as a fork with a chain of its own (--fork). If it is to be the machine again: ' +
        'fitdoc standby unfence REPOSITORY MACHINE.',
      details: { machine, location: ours.location, takeover: { ...takeover } },
    },
  );
}

/** MACHINE_CONFLICT for who comes second to take a machine over. */
export function takenBefore(machine: string, takeover: Takeover | undefined): FitdocError {
  const by = takeover ? ` at ${takeover.place}, ${timeOf(takeover)}` : '';
  return new FitdocError('MACHINE_CONFLICT', `${machine} was taken over by another${by}.`, {
    hint: 'It may run there. If that one is gone for good: fitdoc standby promote --again.',
    details: { machine, ...(takeover && { takeover: { ...takeover } }) },
  });
}

function timeOf({ atMs }: Takeover): string {
  return new Date(atMs).toISOString();
}

/** A writer as it is shown: where it runs, what it reads. */
export interface ShownWriter {
  readonly host: string;
  readonly pid: number;
  readonly program: string;
  readonly location: string;
  readonly since: string;
}

export function shown({ owner, program, location, createdAtMs }: ClaimRecord): ShownWriter {
  const since = new Date(createdAtMs).toISOString();
  return { host: owner.host, pid: owner.pid, program, location, since };
}

function placeOf({ owner, program, location }: ClaimRecord): string {
  return `${program} (process ${owner.pid} on ${owner.host}) from ${location}`;
}

function ttlOf(record: ClaimRecord | undefined): number {
  return Math.ceil((record?.ttlMs ?? 60_000) / 1000);
}
