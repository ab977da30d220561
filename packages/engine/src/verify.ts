import {
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type CallOptions,
  type ErrorCode,
} from '@fitdoc/interface';
import type { CheckpointReader } from '@fitdoc/format';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import { mapOrdered } from './ordered.js';
import type { Engine } from './engine.js';

export interface VerifyOptions extends CallOptions {
  /**
   * How much of the page data is read and decoded: 0 (default) checks the structure only, 1 everything, a
   * part between them that part of the batches, drawn anew at each call.
   */
  readonly data?: number;
}

export interface VerifyFinding {
  readonly checkpoint: string;
  readonly key: string;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface VerifyReport {
  readonly checkpoints: number;
  readonly batches: number;
  /** Encoded bytes of the batches that were read and decoded. */
  readonly bytes: number;
  readonly findings: readonly VerifyFinding[];
}

/**
 * Checks checkpoints: each by itself, and that its parent is there with the content that it names. Findings
 * are collected, not thrown. Errors: ABORTED, and a store that cannot be reached.
 */
export async function verify(
  engine: Engine,
  repository: Repository,
  entries: readonly CheckpointEntry[],
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings: VerifyFinding[] = [];
  let batches = 0;
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    throwIfAborted(options.signal);
    const note = (error: unknown): void => {
      findings.push(finding(entry, error));
    };
    try {
      await repository.chain(entry);
      const reader = await repository.openCheckpoint(entry);
      for (const each of await reader.verify({ data: false })) note(each);
      const read = await verifyData(engine, reader, options, note);
      batches += read.batches;
      bytes += read.bytes;
    } catch (error) {
      note(error);
    }
    const done = index + 1;
    options.onProgress?.({ phase: 'verifying', done, total: entries.length, unit: 'checkpoints' });
  }
  return { checkpoints: entries.length, batches, bytes, findings };
}

/** Damage is a finding; a store that does not answer says nothing about the checkpoint, so it is thrown. */
function finding(entry: CheckpointEntry, error: unknown): VerifyFinding {
  if (!isFitdocError(error) || error.code === 'ABORTED' || error.code === 'STORE_UNAVAILABLE') throw error;
  return { checkpoint: entry.id, key: entry.key, code: error.code, message: error.message };
}

async function verifyData(
  engine: Engine,
  reader: CheckpointReader,
  options: VerifyOptions,
  note: (error: unknown) => void,
): Promise<{ batches: number; bytes: number }> {
  const share = options.data ?? 0;
  if (!(share >= 0 && share <= 1)) {
    throw new FitdocError('ARGUMENT_INVALID', `The share of data to verify is ${share}, not between 0 and 1.`);
  }
  const chosen = reader.batches.map((_, index) => index).filter(() => Math.random() < share);
  let bytes = 0;
  // A window of no pages: a worker decodes the batch, which checks all of it, and writes nothing.
  const target = { kind: 'window', memory: new SharedArrayBuffer(0), firstGfn: 0, pages: 0 } as const;
  const check = async (index: number): Promise<void> => {
    throwIfAborted(options.signal);
    try {
      const encoded = await reader.readEncodedBatch(index);
      bytes += encoded.length;
      await engine.pool.apply({ kind: 'apply', encoded, target }, options.signal);
    } catch (error) {
      note(error);
    }
  };
  for await (const _ of mapOrdered(chosen, engine.pool.workers * 2, check));
  return { batches: chosen.length, bytes };
}
