import {
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type ErrorCode,
} from '@fitdoc/interface';
import { isIntact, type CheckpointEntry, type ListedEntry, type Repository } from '@fitdoc/repository';

export interface VerifyOptions extends CallOptions {
  /**
   * How much of the page data is read and decoded: 0 (default) checks the structure only, 1 everything, a
   * part between them that part of the batches, drawn anew at each call.
   */
  readonly data?: number;
}

export interface VerifyFinding {
  /** Undefined where the object is too damaged to tell. */
  readonly checkpoint: string | undefined;
  readonly key: string;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface VerifyReport {
  readonly checkpoints: number;
  /** Records that were read and checked, and their bytes. */
  readonly records: number;
  readonly bytes: number;
  readonly findings: readonly VerifyFinding[];
}

/**
 * Checks checkpoints: each by itself, and that its parent is there with the content that it names. Findings
 * are collected, not thrown. Errors: ABORTED, and a store that cannot be reached.
 */
export async function verify(
  repository: Repository,
  entries: readonly ListedEntry[],
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings: VerifyFinding[] = [];
  const share = shareOfData(options.data);
  let records = 0;
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    throwIfAborted(options.signal);
    if (!isIntact(entry)) {
      findings.push(named(entry, entry.damaged.code, entry.damaged.message));
      continue;
    }
    try {
      await repository.chain(entry, options);
      const reader = await repository.openCheckpoint(entry, options);
      const report = await reader.verify({
        data: share > 0,
        ...(share > 0 && { sample: share }),
        ...(options.signal && { signal: options.signal }),
      });
      findings.push(...report.findings.map(({ code, message }) => named(entry, code, message)));
      records += report.checkedRecords;
      bytes += report.checkedBytes;
    } catch (error) {
      findings.push(finding(entry, error));
    }
    const done = index + 1;
    options.onProgress?.({ phase: 'verifying', done, total: entries.length, unit: 'checkpoints' });
  }
  return { checkpoints: entries.length, records, bytes, findings };
}

function shareOfData(share = 0): number {
  if (share >= 0 && share <= 1) return share;
  throw new FitdocError('ARGUMENT_INVALID', `The share of data to verify is ${share}, not between 0 and 1.`);
}

function named(entry: ListedEntry, code: ErrorCode, message: string): VerifyFinding {
  return { checkpoint: isIntact(entry) ? entry.id : undefined, key: entry.key, code, message };
}

/** Damage is a finding; a store that does not answer says nothing about the checkpoint, so it is thrown. */
function finding(entry: CheckpointEntry, error: unknown): VerifyFinding {
  if (!isFitdocError(error) || error.code === 'ABORTED' || error.code === 'STORE_UNAVAILABLE') throw error;
  return named(entry, error.code, error.message);
}
