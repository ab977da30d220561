import { diffPages } from '@fitdoc/diff';
import type { DeviceState } from '@fitdoc/interface';
import { concat, dataView } from './bytes.js';
import { checkParts, deviceStateHash, layOut, SLICE_SIZE, toImage, type DevicePart } from './device-image.js';
import { beyondLimit } from './failures.js';
import { align8 } from './layout.js';
import { LIMITS } from './limits.js';
import type { BatchCodec } from './types.js';

/** Bytes of a DEVS payload before its table of parts. */
export const DEVICE_FIXED_SIZE = 112;
/** The slices hold changes against zeros. */
export const ENCODING_ALONE = 0;
/** The slices hold changes against the parent's device state. */
export const ENCODING_DELTA = 1;
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
  const fixed = new Uint8Array(DEVICE_FIXED_SIZE);
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
