import type { CheckpointResult } from '@fitdoc/engine';
import { PAGE_SIZE, totalPages, type FitdocError } from '@fitdoc/interface';
import type { CheckpointEntry } from '@fitdoc/repository';
import type { Damage, LastCheckpoint, MachineState, MachineStatus, Problem, Standing } from '../model.js';
import type { MachineSettings } from '../config/schema.js';
import { withoutSecrets } from './without-secrets.js';
import type { Attachment } from './attachment.js';
import type { Pace } from './due.js';
import type { BootMemory } from './state-file.js';

/** What a machine's controller knows, from which its status is made. */
export interface Snapshot {
  readonly name: string;
  readonly settings: MachineSettings;
  readonly state: MachineState;
  readonly sinceMs: number;
  readonly pace: Pace;
  readonly counts: { readonly checkpoints: number; readonly failures: number; readonly missed: number };
  readonly attachment: Attachment | undefined;
  /** Milliseconds since 1970. */
  readonly nextDueMs: number | undefined;
  readonly successAgeMs: number;
  readonly last: LastCheckpoint | undefined;
  readonly problem: Problem | undefined;
  readonly damage: Damage | undefined;
  readonly verifiedMs: number | undefined;
  readonly boot: BootMemory | undefined;
  readonly standing: FitdocError | undefined;
  readonly releasedUntilMs: number | undefined;
}

export function statusOf(snapshot: Snapshot): MachineStatus {
  const { name, settings, pace, counts, nextDueMs, last, problem, damage, verifiedMs, boot } = snapshot;
  const { machine, protection } = snapshot.attachment ?? {};
  const interval = pace.intervalMs;
  return {
    at: isoTime(Date.now()),
    name,
    location: withoutSecrets(settings.location),
    ...(settings.pattern !== undefined && { pattern: settings.pattern }),
    repository: settings.repository,
    state: snapshot.state,
    since: isoTime(snapshot.sinceMs),
    schedule: pace.description,
    ...counts,
    successAgeMs: Math.round(snapshot.successAgeMs),
    ...(settings['pause-budget'] !== undefined &&
      snapshot.attachment && { pauseBudget: { ...snapshot.attachment.pauses } }),
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
    ...(snapshot.state === 'standing' && snapshot.standing && { standing: standingOf(snapshot.standing) }),
    ...(snapshot.releasedUntilMs !== undefined && { releasedUntil: isoTime(snapshot.releasedUntilMs) }),
    ...(problem && { lastProblem: problem }),
    ...(damage && { lastDamage: damage }),
    ...(verifiedMs !== undefined && { lastVerifiedAt: isoTime(verifiedMs) }),
    ...(boot && { lastBoot: { at: isoTime(boot.atMs), verdict: boot.verdict, about: boot.about } }),
  };
}

function standingOf({ message, hint, details }: FitdocError): Standing {
  const state = details['state'];
  return {
    state: typeof state === 'string' ? state : 'unknown',
    message,
    ...(hint !== undefined && { hint }),
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

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
