import { applyBatch, diffPages } from '@fitdoc/diff';
import { PAGE_SIZE, type DeviceState } from '@fitdoc/interface';
import { concat, dataView, equalBytes, isZero, readSafeUint64, toHex } from './bytes.js';
import { checkParts, deviceStateHash, layOut, SLICE_SIZE, toImage, type DevicePart } from './device-image.js';
import { beyondLimit, damaged, invalid } from './failures.js';
import { align8, HASH_SIZE } from './layout.js';
import { LIMITS } from './limits.js';
import type { BatchCodec } from './types.js';

const FIXED_SIZE = 112;
const ENCODING_ALONE = 0;
const ENCODING_DELTA = 1;
// A delta ties a checkpoint to its parent, so it has to be worth it.
const DELTA_PAYS_BELOW = 0.75;

/** The parent that a delta hangs on. */
export interface ParentState {
  readonly contentHash: Uint8Array;
  readonly state: readonly DeviceState[];
}

export interface EncodedDeviceState {
  readonly payload: Uint8Array;
  readonly delta: boolean;
  /** Bytes of all parts. */
  readonly rawBytes: number;
}

/** The payload of a DEVS record: the changes against the parent's state where that pays, else against zeros. */
export function encodeDeviceState(
  state: readonly DeviceState[],
  parent: ParentState | undefined,
  codec: BatchCodec,
): EncodedDeviceState {
  checkParts(state);
  const { parts, size } = layOut(state.map(({ name, bytes }) => ({ name, length: bytes.length })));
  const image = toImage(state, parts, size);
  const alone = encodeSlices(image, new Uint8Array(size), codec);
  const changes = parent && encodeSlices(image, toImage(parent.state, parts, size), codec);
  const delta = changes !== undefined && changes.length < alone.length * DELTA_PAYS_BELOW;
  const fixed = new Uint8Array(FIXED_SIZE);
  const view = dataView(fixed);
  const rawBytes = parts.reduce((sum, part) => sum + part.length, 0);
  view.setUint32(0, delta ? ENCODING_DELTA : ENCODING_ALONE, true);
  view.setUint32(4, parts.length, true);
  view.setBigUint64(8, BigInt(rawBytes), true);
  fixed.set(deviceStateHash(state), 16);
  if (delta && parent) {
    fixed.set(parent.contentHash, 48);
    fixed.set(deviceStateHash(parent.state), 80);
  }
  const payload = concat([fixed, ...parts.map(encodePart), delta ? changes : alone]);
  const limit = LIMITS.deviceStateRecord;
  if (payload.length > limit) throw beyondLimit('The device state record', payload.length, limit);
  return { payload, delta, rawBytes };
}

function encodePart(part: DevicePart): Uint8Array {
  const name = new TextEncoder().encode(part.name);
  const bytes = new Uint8Array(16 + align8(name.length));
  const view = dataView(bytes);
  view.setUint32(0, name.length, true);
  view.setBigUint64(8, BigInt(part.length), true);
  bytes.set(name, 16);
  return bytes;
}

/** A batch for each 4 MiB of the image: length, 4 zero bytes, the encoded batch; length 0 for no change. */
function encodeSlices(image: Uint8Array, against: Uint8Array, codec: BatchCodec): Uint8Array {
  const slices: Uint8Array[] = [];
  for (let at = 0; at < image.length; at += SLICE_SIZE) {
    const batch = diffPages(image.subarray(at, at + SLICE_SIZE), against.subarray(at, at + SLICE_SIZE));
    const encoded = batch.gfns.length === 0 ? new Uint8Array(0) : codec.encode(batch).bytes;
    const slice = new Uint8Array(8 + align8(encoded.length));
    dataView(slice).setUint32(0, encoded.length, true);
    slice.set(encoded, 8);
    slices.push(slice);
  }
  return concat(slices);
}

/** What a DEVS record says before it is decoded. */
export interface DeviceStateInfo {
  readonly delta: boolean;
  readonly parts: readonly DevicePart[];
  /** Bytes of all parts together. */
  readonly rawBytes: number;
  readonly imageSize: number;
  readonly hash: Uint8Array;
  /** Content hash of the parent and hash of its device state, for a delta. */
  readonly parentHash: Uint8Array;
  readonly parentStateHash: Uint8Array;
  /** Where the slices begin in the payload. */
  readonly slicesAt: number;
}

const bad = (what: string) => damaged(`The device state is damaged: ${what}`);

/** Reads the head of a DEVS record's payload. Errors: FORMAT_DAMAGED, FORMAT_LIMIT. */
export function decodeDeviceStateInfo(payload: Uint8Array): DeviceStateInfo {
  if (payload.length < FIXED_SIZE) throw bad('it is too short.');
  const view = dataView(payload);
  const [encoding, count] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (encoding > ENCODING_DELTA) throw bad(`encoding ${encoding}.`);
  if (count > LIMITS.deviceParts)
    throw beyondLimit('The number of device state parts', count, LIMITS.deviceParts);
  const named: { name: string; length: number }[] = [];
  let at = FIXED_SIZE;
  for (let number = 0; number < count; number += 1) {
    const part = decodePart(payload, view, at);
    named.push(part);
    at = part.next;
  }
  if (new Set(named.map((part) => part.name)).size !== count) throw bad('a name occurs twice.');
  const { parts, size: imageSize } = layOut(named);
  const rawBytes = named.reduce((sum, part) => sum + part.length, 0);
  if (rawBytes !== readSafeUint64(view, 8)) throw bad('its size.');
  const [hash, parentHash, parentStateHash] = [16, 48, 80].map((from) =>
    payload.slice(from, from + HASH_SIZE),
  );
  if (!hash || !parentHash || !parentStateHash) throw bad('it is too short.');
  const delta = encoding === ENCODING_DELTA;
  if (delta === isZero(parentHash) || (!delta && !isZero(parentStateHash))) throw bad('its parent.');
  return { delta, parts, rawBytes, imageSize, hash, parentHash, parentStateHash, slicesAt: at };
}

function decodePart(payload: Uint8Array, view: DataView, at: number) {
  if (at + 16 > payload.length) throw bad('the table of parts is cut off.');
  const nameLength = view.getUint32(at, true);
  const length = readSafeUint64(view, at + 8);
  const next = at + 16 + align8(nameLength);
  if (nameLength === 0 || nameLength > LIMITS.text || next > payload.length) throw bad("a part's name.");
  if (length === undefined || view.getUint32(at + 4, true) !== 0) throw bad("a part's size.");
  if (!isZero(payload.subarray(at + 16 + nameLength, next))) throw bad("a part's name.");
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { name: decoder.decode(payload.subarray(at + 16, at + 16 + nameLength)), length, next };
  } catch (cause) {
    throw damaged("The device state is damaged: a part's name.", { cause });
  }
}

/**
 * Rebuilds the device state from a DEVS record's payload. A delta needs the parent's state: ARGUMENT_INVALID
 * without it or with another one. The result is held against its hash: FORMAT_DAMAGED.
 */
export function decodeDeviceState(
  payload: Uint8Array,
  previous: readonly DeviceState[] | undefined,
  codec: BatchCodec,
): DeviceState[] {
  const info = decodeDeviceStateInfo(payload);
  if (info.delta && !previous) {
    throw invalid(
      `The device state is stored as a change to that of checkpoint ${toHex(info.parentHash).slice(0, 32)}.`,
      "Pass a function that reads the parent's device state.",
    );
  }
  if (info.delta && previous && !equalBytes(deviceStateHash(previous), info.parentStateHash)) {
    throw invalid("The device state passed is not that of the checkpoint's parent.");
  }
  const image =
    info.delta && previous ? toImage(previous, info.parts, info.imageSize) : new Uint8Array(info.imageSize);
  applySlices(payload, info, image, codec);
  const state = info.parts.map(({ name, length, offset }) => ({
    name,
    bytes: image.slice(offset, offset + length),
  }));
  if (!equalBytes(deviceStateHash(state), info.hash)) throw bad('it does not match its hash.');
  return state;
}

function applySlices(payload: Uint8Array, info: DeviceStateInfo, image: Uint8Array, codec: BatchCodec): void {
  const view = dataView(payload);
  let at = info.slicesAt;
  for (let from = 0; from < image.length; from += SLICE_SIZE) {
    if (at + 8 > payload.length) throw bad('it is cut off.');
    const length = view.getUint32(at, true);
    const next = at + 8 + align8(length);
    if (length > LIMITS.batch || next > payload.length || view.getUint32(at + 4, true) !== 0)
      throw bad('a batch.');
    if (length > 0) {
      const target = image.subarray(from, from + SLICE_SIZE);
      const batch = codec.decode(payload.subarray(at + 8, at + 8 + length));
      const last = batch.gfns.at(-1);
      if (last !== undefined && (last + 1) * PAGE_SIZE > target.length) throw bad('a page beyond its end.');
      applyBatch(batch, target);
    }
    if (!isZero(payload.subarray(at + 8 + length, next))) throw bad('a batch.');
    at = next;
  }
  if (at !== payload.length) throw bad('it is too long.');
}
