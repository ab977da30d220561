import type { CheckpointResult } from '@fitdoc/engine';
import { PAGE_SIZE, totalPages } from '@fitdoc/interface';
import type { CheckpointEntry } from '@fitdoc/repository';
import type { LastCheckpoint, MachineState, MachineStatus, Problem } from '../model.js';
import type { MachineSettings } from '../config/schema.js';
import type { Attachment } from './attachment.js';
import type { Pace } from './pace.js';

/** What a machine's controller knows, from which its status is made. */
export interface Snapshot {
  readonly name: string;
  readonly settings: MachineSettings;
  readonly state: MachineState;
  readonly sinceMs: number;
  readonly pace: Pace;
  readonly counts: { readonly checkpoints: number; readonly failures: number; readonly missed: number };
  readonly attachment: Attachment | undefined;
  readonly nextDueMs: number | undefined;
  readonly last: LastCheckpoint | undefined;
  readonly problem: Problem | undefined;
  readonly verifiedMs: number | undefined;
}

export function statusOf(snapshot: Snapshot): MachineStatus {
  const { name, settings, pace, counts, nextDueMs, last, problem, verifiedMs } = snapshot;
  const { machine, protection } = snapshot.attachment ?? {};
  const interval = pace.intervalMs;
  return {
    name,
    location: withoutSecrets(settings.location),
    repository: settings.repository,
    state: snapshot.state,
    since: isoTime(snapshot.sinceMs),
    schedule: pace.description,
    ...counts,
    limits: [...(machine?.supports.limits ?? [])],
    ...(machine && {
      machineId: machine.info.id,
      hypervisor: machine.info.hypervisor,
      memoryBytes: totalPages(machine.info.regions) * PAGE_SIZE,
    }),
    ...(protection && { imageBytes: protection.imageBytes, chainDepth: protection.chainLength }),
    ...(nextDueMs !== undefined && Number.isFinite(nextDueMs) && { nextDueAt: isoTime(nextDueMs) }),
    ...(interval !== undefined && { intervalMs: interval }),
    ...(last && { lastCheckpoint: last }),
    ...(problem && { lastProblem: problem }),
    ...(verifiedMs !== undefined && { lastVerifiedAt: isoTime(verifiedMs) }),
  };
}

export function checkpointOf({ entry, cost }: CheckpointResult): LastCheckpoint {
  const { pauseMs, dirtyPages, changedWords } = cost;
  return { ...entryAsLast(entry), pauseMs, dirtyPages, changedWords };
}

/** A stored checkpoint, as far as its summary tells what it cost. */
export function entryAsLast(entry: CheckpointEntry): LastCheckpoint {
  const { id, sequence, kind, capturedAtMs, changedWords, bytes, metrics } = entry;
  return {
    id,
    sequence,
    kind,
    capturedAt: isoTime(capturedAtMs),
    pauseMs: Number(metrics['pauseMs'] ?? 0),
    dirtyPages: Number(metrics['dirtyPages'] ?? entry.pages),
    changedWords,
    storedBytes: bytes,
  };
}

/** A location as it may be shown: user information of a URL loses its password. */
export function withoutSecrets(location: string): string {
  return location.replace(/(\/\/[^/@:\s]*):[^/@\s]*@/, '$1:***@');
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
