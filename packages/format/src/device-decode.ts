import { applyBatch } from '@fitdoc/diff';
import { PAGE_SIZE, type DeviceState } from '@fitdoc/interface';
import { dataView, equalBytes, isZero, readSafeUint64, toHex } from './bytes.js';
import { DEVICE_FIXED_SIZE, ENCODING_DELTA } from './device-encode.js';
import { deviceStateHash, layOut, SLICE_SIZE, toImage, type DevicePart } from './device-image.js';
import { beyondLimit, damaged, invalid } from './failures.js';
import { align8, HASH_SIZE } from './layout.js';
import { LIMITS } from './limits.js';
import type { BatchCodec, CheckpointHeader, CheckpointSummary } from './types.js';

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
  if (payload.length < DEVICE_FIXED_SIZE) throw bad('it is too short.');
  const view = dataView(payload);
  const [encoding, count] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (encoding > ENCODING_DELTA) throw bad(`encoding ${encoding}.`);
  if (count > LIMITS.deviceParts)
    throw beyondLimit('The number of device state parts', count, LIMITS.deviceParts);
  const named: { name: string; length: number }[] = [];
  let at = DEVICE_FIXED_SIZE;
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

/** Holds a device state record against what header and summary say of it. FORMAT_DAMAGED. */
export function checkDeviceState(
  info: DeviceStateInfo,
  { header, summary }: { readonly header: CheckpointHeader; readonly summary: CheckpointSummary },
): void {
  if (info.rawBytes !== summary.deviceStateBytes || info.delta !== summary.deviceStateDelta) {
    throw damaged('The device state is not the one that the summary describes.');
  }
  if (info.delta && toHex(info.parentHash) !== header.parent?.contentHash) {
    throw damaged("The device state hangs on another checkpoint than the header's parent.");
  }
}

/**
 * Rebuilds the device state from a DEVS record's payload. A delta needs the parent's state: ARGUMENT_INVALID
 * without it. That state and the result are held against their hashes: FORMAT_DAMAGED.
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
    throw bad("the state it is a change to is not that of the checkpoint's parent.");
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
