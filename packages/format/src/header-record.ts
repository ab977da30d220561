import { PAGE_SIZE, totalPages, WORD_SIZE, type Json } from '@fitdoc/interface';
import { concat, dataView, fromHex, isZero, readSafeUint64, toHex } from './bytes.js';
import { decodeJson, encodeJson } from './canonical-json.js';
import { disksFromJson, disksToJson } from './disk-table.js';
import { checkDerivation, readDerivation, readMerges } from './derived.js';
import { beyondLimit, damaged, invalid } from './failures.js';
import { Fields } from './fields.js';
import { DISKLESS_VERSION, FORMAT_VERSION, HASH_SIZE } from './layout.js';
import { LIMITS } from './limits.js';
import { machineFromJson, machineToJson } from './machine-info.js';
import { idOf } from './seal.js';
import type { CheckpointHeader, NewCheckpointHeader } from './types.js';

const FIXED_SIZE = 80;
const CONTENT_HASH = /^[0-9a-f]{64}$/;
const KINDS = ['base', 'increment'] as const;

/** Fills in what the writer knows, and checks the rest: ARGUMENT_INVALID. */
export function completeHeader(header: NewCheckpointHeader): CheckpointHeader {
  const whole = (name: string, value: number): number => {
    const floor = Math.floor(value);
    if (!Number.isSafeInteger(floor) || floor < 0) throw invalid(`The header's ${name} is ${value}.`);
    return floor;
  };
  const wrong = (name: string) => invalid(`The header's ${name} is not what this writer writes.`);
  const { disks = [], ...rest } = header;
  const formatVersion = disks.length > 0 ? FORMAT_VERSION : DISKLESS_VERSION;
  if ((header.formatVersion ?? formatVersion) !== formatVersion) throw wrong('formatVersion');
  if ((header.pageSize ?? PAGE_SIZE) !== PAGE_SIZE) throw wrong('pageSize');
  if ((header.wordSize ?? WORD_SIZE) !== WORD_SIZE) throw wrong('wordSize');
  if ((header.kind === 'increment') !== (header.parent !== undefined)) {
    throw invalid('An increment names its parent; a base has none.');
  }
  const parent = header.parent;
  if (
    parent &&
    (fromHex(parent.contentHash)?.length !== HASH_SIZE || parent.id !== idOf(parent.contentHash))
  ) {
    throw invalid(
      'The parent is named by its content hash, 64 hex digits, and by an id of the first 32 of them.',
    );
  }
  const superseded = header.supersedes ?? [];
  if (superseded.length > LIMITS.superseded || superseded.some((hash) => !CONTENT_HASH.test(hash))) {
    throw invalid(`A checkpoint supersedes at most ${LIMITS.superseded} others, named by content hash.`);
  }
  checkDerivation(header);
  if (!Number.isSafeInteger(header.sequence) || header.sequence < 0) throw wrong('sequence');
  if (disks.length > 0) disksFromJson(disksToJson(disks) as Json[], header.kind === 'base', invalid);
  return {
    ...rest,
    ...(disks.length > 0 ? { disks } : {}),
    formatVersion,
    pageSize: PAGE_SIZE,
    wordSize: WORD_SIZE,
    createdAtMs: whole('createdAtMs', header.createdAtMs),
    capturedAtMs: whole('capturedAtMs', header.capturedAtMs),
  };
}

/** The payload of a HEAD record: 80 fixed bytes, then JSON with the machine, the tool and what it stands for. */
export function encodeHeader(header: CheckpointHeader): Uint8Array {
  const json = encodeJson({
    machine: machineToJson(header.machine, (message) => invalid(message)),
    ...(header.supersedes?.length ? { supersedes: [...header.supersedes] } : {}),
    ...(header.state === undefined ? {} : { state: header.state, role: header.role }),
    ...(header.merges?.length ? { merges: [...header.merges] } : {}),
    ...(header.disks ? { disks: disksToJson(header.disks) } : {}),
    tool: header.tool,
  });
  const fixed = new Uint8Array(FIXED_SIZE);
  const view = dataView(fixed);
  view.setUint32(0, header.pageSize, true);
  view.setUint32(4, header.wordSize, true);
  view.setBigUint64(8, BigInt(header.sequence), true);
  view.setBigUint64(16, BigInt(header.createdAtMs), true);
  view.setBigUint64(24, BigInt(header.capturedAtMs), true);
  view.setUint32(32, totalPages(header.machine.regions), true);
  view.setUint32(36, KINDS.indexOf(header.kind), true);
  view.setUint32(40, json.length, true);
  if (header.parent) fixed.set(fromHex(header.parent.contentHash) ?? [], 48);
  const payload = concat([fixed, json]);
  if (payload.length > LIMITS.header) throw beyondLimit('The header', payload.length, LIMITS.header);
  return payload;
}

/** Reads a HEAD record's payload, its checksum verified before. Errors: FORMAT_DAMAGED, FORMAT_UNSUPPORTED. */
export function decodeHeader(payload: Uint8Array, formatVersion: number): CheckpointHeader {
  const bad = (what: string) => damaged(`The checkpoint's header is damaged: ${what}`);
  if (payload.length < FIXED_SIZE) throw bad('it is too short.');
  const view = dataView(payload);
  const counts = [8, 16, 24].map((at) => readSafeUint64(view, at));
  const [sequence, createdAtMs, capturedAtMs] = counts;
  if (sequence === undefined || createdAtMs === undefined || capturedAtMs === undefined)
    throw bad('a number.');
  const [pageSize, wordSize] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (pageSize !== PAGE_SIZE || wordSize !== WORD_SIZE) throw bad('page or word size.');
  if (view.getUint32(40, true) !== payload.length - FIXED_SIZE || view.getUint32(44, true) !== 0)
    throw bad('lengths.');
  const fields = new Fields(decodeJson(payload.subarray(FIXED_SIZE), 'The header'), 'The header', bad);
  const machine = machineFromJson(fields.raw('machine'), bad);
  if (totalPages(machine.regions) !== view.getUint32(32, true)) throw bad('the number of pages.');
  const kind = KINDS[view.getUint32(36, true)];
  const hash = payload.subarray(48, FIXED_SIZE);
  if (kind === undefined || (kind === 'base') !== isZero(hash)) throw bad('kind and parent.');
  const contentHash = toHex(hash);
  const supersedes = fields.texts('supersedes', LIMITS.superseded, CONTENT_HASH);
  const derivation = readDerivation(fields, { kind, supersedes }, kind === 'base' ? undefined : contentHash);
  const merges = readMerges(fields, derivation.state !== undefined);
  const disks =
    formatVersion > DISKLESS_VERSION
      ? disksFromJson(fields.list('disks', LIMITS.disks), kind === 'base', bad)
      : undefined;
  return {
    formatVersion,
    machine,
    pageSize,
    wordSize,
    sequence,
    ...(kind === 'base' ? {} : { parent: { id: idOf(contentHash), contentHash } }),
    createdAtMs,
    capturedAtMs,
    kind,
    ...(supersedes.length > 0 ? { supersedes } : {}),
    ...derivation,
    ...(merges.length > 0 ? { merges } : {}),
    ...(disks ? { disks } : {}),
    tool: fields.text('tool'),
  };
}
