import { isFitdocError, throwIfAborted, type ErrorCode, type Progress } from '@fitdoc/interface';
import { decodeBatch } from './batch-check.js';
import { blocksOf } from './blocks-record.js';
import { ContentTotals } from './content-totals.js';
import { equalBytes } from './bytes.js';
import { checkDeviceState, decodeDeviceStateInfo } from './device-decode.js';
import { decodeExtension } from './extension-record.js';
import { damaged } from './failures.js';
import type { IndexEntry } from './index-record.js';
import {
  baseType,
  isOptional,
  RECORD_BATCH,
  RECORD_DEVICE_STATE,
  RECORD_DISK,
  RECORD_EXTENSION,
  recordSize,
  typeName,
} from './layout.js';
import type { Structure } from './open.js';
import { readExactly, type RangedSource } from './ranged-source.js';
import { openWholeRecord } from './record.js';
import { strongHash } from './seal.js';
import type { BatchCodec } from './types.js';

export interface VerifyOptions {
  /** Read and check the records' bytes too. Default false: the structure, which opening has verified. */
  readonly data?: boolean;
  /** With `data`: the share of batches to read, 0 to 1, evenly spread from a random first. Default 1. */
  readonly sample?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** One thing that is wrong. */
export interface Finding {
  readonly code: ErrorCode;
  readonly message: string;
  /** The record, by its type and where it stands. */
  readonly record?: string;
  readonly offset?: number;
  /** The pages that cannot be had, for a batch. */
  readonly firstGfn?: number;
  readonly lastGfn?: number;
  readonly pages?: number;
}

export interface VerifyReport {
  /** True when nothing is wrong with what was read. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** Records read and checked, of those there are. */
  readonly checkedRecords: number;
  readonly records: number;
  readonly checkedBytes: number;
}

/** Checks the records that the options name, each by checksum, strong hash and contents; lists all findings. */
export async function verifyRecords(
  source: RangedSource,
  structure: Structure,
  codec: BatchCodec,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const entries = options.data === true ? choose(structure.entries, options.sample ?? 1) : [];
  const findings: Finding[] = [];
  let checkedBytes = 0;
  const totals = new ContentTotals();
  for (const [done, entry] of entries.entries()) {
    throwIfAborted(options.signal);
    const error = await check(source, structure, entry, codec, totals, options.signal);
    if (error) findings.push(findingOf(error, entry));
    checkedBytes += recordSize(entry.length);
    options.onProgress?.({ phase: 'verifying', done: done + 1, total: entries.length, unit: 'objects' });
  }
  const records = structure.entries.length;
  if (entries.length === records && findings.length === 0)
    findings.push(...totals.compare(structure.summary).map(summaryFinding));
  return { ok: findings.length === 0, findings, checkedRecords: entries.length, records, checkedBytes };
}

function choose(entries: readonly IndexEntry[], sample: number): readonly IndexEntry[] {
  if (sample >= 1) return entries;
  const step = 1 / Math.max(sample, 1e-9);
  let next = Math.random() * step;
  let batch = 0;
  return entries.filter(({ type }) => {
    if (type !== RECORD_BATCH && type !== RECORD_DISK) return true;
    const chosen = batch >= Math.floor(next);
    if (chosen) next += step;
    batch += 1;
    return chosen;
  });
}

async function check(
  source: RangedSource,
  structure: Structure,
  entry: IndexEntry,
  codec: BatchCodec,
  totals: ContentTotals,
  signal?: AbortSignal,
): Promise<Error | undefined> {
  try {
    const record = await readExactly(source, entry.offset, recordSize(entry.length), signal);
    const payload = openWholeRecord(record, entry, entry.offset);
    if (!equalBytes(strongHash(payload), entry.hash))
      throw damaged('The record does not match its strong hash.');
    if (entry.type === RECORD_BATCH) totals.add(decodeBatch(payload, entry, codec));
    if (entry.type === RECORD_DISK) decodeBatch(blocksOf(payload, entry), entry, codec);
    if (entry.type === RECORD_DEVICE_STATE) checkDeviceState(decodeDeviceStateInfo(payload), structure);
    if (baseType(entry.type) === RECORD_EXTENSION) decodeExtension(payload, !isOptional(entry.type));
    return undefined;
  } catch (error) {
    // Only what is wrong with the checkpoint is a finding; a store that fails, or an abort, ends the call.
    if (isFitdocError(error) && /^(?:FORMAT|CODEC)_/.test(error.code)) return error;
    throw error;
  }
}

const summaryFinding = (message: string): Finding => ({ code: 'FORMAT_DAMAGED', message, record: 'SUMM' });

/** An error as a finding. */
export function findingOf(error: Error, entry?: IndexEntry): Finding {
  const code = isFitdocError(error) ? error.code : 'FORMAT_DAMAGED';
  if (!entry) return { code, message: error.message };
  const { firstGfn, lastGfn, pages, offset } = entry;
  const batch = entry.type === RECORD_BATCH || entry.type === RECORD_DISK ? { firstGfn, lastGfn, pages } : {};
  return { code, message: error.message, record: typeName(entry.type), offset, ...batch };
}
