import type { CpuActivity } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { stateOf } from '@fitdoc/repository';

/**
 * How a state did when it was started. `runs`: its processors made progress and every probe was right; `panicked`,
 * `reset` and `ended`: its guest did; `stands`: nothing moved; `probe-failed`: it runs, and a probe was not right;
 * `not-restored`: it could not be started or brought back.
 */
export type BootVerdict =
  'runs' | 'panicked' | 'reset' | 'ended' | 'stands' | 'probe-failed' | 'not-restored';

export interface ProbeResult {
  readonly probe: 'console' | 'agent' | 'tcp';
  readonly right: boolean;
  /** What was looked for, or why it was not found. */
  readonly about: string;
}

export interface BootReport {
  readonly version: 1;
  readonly verdict: BootVerdict;
  /** In a sentence. */
  readonly about: string;
  readonly verifiedAtMs: number;
  /** Milliseconds that bringing it back took, and that it was watched. */
  readonly restoredMs?: number;
  readonly watchedMs?: number;
  readonly cpus: readonly CpuActivity[];
  readonly probes: readonly ProbeResult[];
  /** What it ran in. */
  readonly hypervisor: string;
  /** Whether a picture of its screen is kept beside this. */
  readonly screenshot: boolean;
}

const nameOf = (entry: CheckpointEntry, kind: 'json' | 'png'): string => `boot/${stateOf(entry)}.${kind}`;

/** Keeps a report, and a picture as PNG, beside the checkpoint. Errors: the store's. */
export async function keepBootReport(
  repository: Repository,
  entry: CheckpointEntry,
  report: BootReport,
  picture: Uint8Array | undefined,
): Promise<void> {
  const { derived } = repository;
  if (picture) await derived.put(entry.machineId, nameOf(entry, 'png'), picture);
  const text = JSON.stringify({ ...report, screenshot: picture !== undefined });
  await derived.put(entry.machineId, nameOf(entry, 'json'), new TextEncoder().encode(text));
}

/** The last report of a state; undefined where it was never started, or what was kept cannot be read. */
export async function bootReportOf(
  repository: Repository,
  entry: CheckpointEntry,
): Promise<BootReport | undefined> {
  const bytes = await repository.derived.get(entry.machineId, nameOf(entry, 'json'));
  if (!bytes) return undefined;
  try {
    const report = JSON.parse(new TextDecoder().decode(bytes)) as Partial<BootReport>;
    return report.version === 1 && typeof report.verdict === 'string' ? (report as BootReport) : undefined;
  } catch {
    return undefined;
  }
}

/** The picture of a report's screen, as PNG. */
export async function bootPictureOf(
  repository: Repository,
  entry: CheckpointEntry,
): Promise<Uint8Array | undefined> {
  return repository.derived.get(entry.machineId, nameOf(entry, 'png'));
}
