import {
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type ErrorCode,
} from '@fitdoc/interface';
import {
  explainHole,
  isIntact,
  isWithheld,
  Lineage,
  type CheckpointEntry,
  type ListedEntry,
  type Repository,
} from '@fitdoc/repository';

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
  const lineages = new Lineages(repository, options);
  let records = 0;
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    throwIfAborted(options.signal);
    if (!isIntact(entry)) {
      findings.push(named(entry, entry.damaged.code, entry.damaged.message));
      continue;
    }
    try {
      await lineages.assertWhole(entry);
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

/** How checkpoints stand on one another, by one listing a machine, and a second when something seems to be missing. */
class Lineages {
  readonly #known = new Map<string, { lineage: Lineage; listed: readonly ListedEntry[]; looks: number }>();

  constructor(
    private readonly repository: Repository,
    private readonly options: CallOptions,
  ) {}

  /** Throws what `Repository.chain` does. */
  async assertWhole(entry: CheckpointEntry): Promise<void> {
    const { machineId } = entry;
    let known = this.#known.get(machineId) ?? (await this.#look(machineId, 1));
    if (known.lineage.cost(entry)) return;
    // It may have been merged into another since.
    if (known.looks === 1) known = await this.#look(machineId, 2);
    try {
      known.lineage.chain(entry);
    } catch (error) {
      throw explainHole(error, known.listed);
    }
  }

  async #look(machine: string, looks: number) {
    const { signal } = this.options;
    const listed = await this.repository.objects({ machine, audit: true, ...(signal && { signal }) });
    const known = { lineage: new Lineage(listed.filter(isIntact)), listed, looks };
    this.#known.set(machine, known);
    return known;
  }
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
  if (!isFitdocError(error) || error.code === 'ABORTED') throw error;
  if (error.code === 'STORE_UNAVAILABLE' && !isWithheld(error)) throw error;
  return named(entry, error.code, error.message);
}
