import { totalPages } from '@fitdoc/interface';
import { decodeJson, encodeJson } from './canonical-json.js';
import { readDerivation } from './derived.js';
import { beyondLimit, damaged, invalid } from './failures.js';
import { Fields } from './fields.js';
import { LIMITS } from './limits.js';
import { idOf } from './seal.js';
import type { CheckpointHeader, CheckpointSummary, Metrics } from './types.js';

/** What a SUMM record holds: a summary without what the END record tells. */
export type StoredSummary = Omit<
  CheckpointSummary,
  'id' | 'contentHash' | 'bytes' | 'formatVersion' | 'parentId'
>;

/** Sums that grow as a checkpoint is written. */
export interface Totals {
  pages: number;
  rawBytes: number;
  changedWords: number;
  wholePages: number;
  zeroPages: number;
  batches: number;
  deviceStateBytes: number;
  deviceStateDelta: boolean;
  disks?: number;
  diskBatches?: number;
  diskBlocks?: number;
  diskBytes?: number;
}

/** Members that are there when the checkpoint holds disks. */
export const DISK_TOTALS = ['disks', 'diskBatches', 'diskBlocks', 'diskBytes'] as const;

const HASH = /^[0-9a-f]{64}$/;

/** Header essentials as the summary repeats them; a reader holds them against the header. */
export function headerEssentials(header: CheckpointHeader): Partial<StoredSummary> {
  return {
    machineId: header.machine.id,
    machineName: header.machine.name,
    hypervisor: header.machine.hypervisor,
    scheme: header.machine.scheme,
    memoryPages: totalPages(header.machine.regions),
    sequence: header.sequence,
    kind: header.kind,
    ...(header.parent ? { parentContentHash: header.parent.contentHash } : {}),
    ...(header.supersedes?.length ? { supersedes: header.supersedes } : {}),
    ...(header.state === undefined ? {} : { state: header.state, role: header.role }),
    createdAtMs: header.createdAtMs,
    capturedAtMs: header.capturedAtMs,
  };
}

/** The payload of a SUMM record. ARGUMENT_INVALID for metrics that are too large or no JSON. */
export function encodeSummary(header: CheckpointHeader, totals: Totals, metrics: Metrics): Uint8Array {
  const wordPages = totals.pages - totals.wholePages - totals.zeroPages;
  if (encodeJson(metrics).length > LIMITS.metrics)
    throw invalid(`The metrics exceed ${LIMITS.metrics} bytes.`);
  const payload = encodeJson({ ...headerEssentials(header), ...totals, wordPages, metrics });
  if (payload.length > LIMITS.summary) throw beyondLimit('The summary', payload.length, LIMITS.summary);
  return payload;
}

/** Reads a SUMM record's payload, its checksum verified before. FORMAT_DAMAGED. */
export function decodeSummary(payload: Uint8Array): StoredSummary {
  const bad = (what: string) => damaged(`The summary is damaged: ${what}`);
  const fields = new Fields(decodeJson(payload, 'The summary'), 'The summary', bad);
  const kind = fields.oneOf('kind', ['base', 'increment']);
  const parentContentHash = fields.optionalText('parentContentHash', HASH);
  if ((kind === 'base') !== (parentContentHash === undefined)) throw bad('kind and parent.');
  const supersedes = fields.texts('supersedes', LIMITS.superseded, HASH);
  return {
    machineId: fields.text('machineId'),
    machineName: fields.text('machineName'),
    hypervisor: fields.text('hypervisor'),
    scheme: fields.text('scheme'),
    memoryPages: fields.count('memoryPages'),
    sequence: fields.count('sequence'),
    kind,
    ...(parentContentHash === undefined ? {} : { parentContentHash }),
    ...(supersedes.length > 0 ? { supersedes } : {}),
    ...readDerivation(fields, { kind, supersedes }, parentContentHash),
    createdAtMs: fields.count('createdAtMs'),
    capturedAtMs: fields.count('capturedAtMs'),
    pages: fields.count('pages'),
    rawBytes: fields.count('rawBytes'),
    changedWords: fields.count('changedWords'),
    wordPages: fields.count('wordPages'),
    wholePages: fields.count('wholePages'),
    zeroPages: fields.count('zeroPages'),
    deviceStateBytes: fields.count('deviceStateBytes'),
    deviceStateDelta: fields.flag('deviceStateDelta'),
    batches: fields.count('batches'),
    ...diskTotals(fields),
    metrics: fields.record('metrics'),
  };
}

function diskTotals(fields: Fields): Partial<Record<(typeof DISK_TOTALS)[number], number>> {
  if (!fields.has('disks')) return {};
  return Object.fromEntries(DISK_TOTALS.map((name) => [name, fields.count(name)]));
}

/** The summary as callers see it. */
export function completeSummary(
  stored: StoredSummary,
  object: { contentHash: string; bytes: number; formatVersion: number },
): CheckpointSummary {
  const parent = stored.parentContentHash;
  return {
    id: idOf(object.contentHash),
    contentHash: object.contentHash,
    formatVersion: object.formatVersion,
    bytes: object.bytes,
    ...stored,
    ...(parent === undefined ? {} : { parentId: idOf(parent) }),
  };
}
