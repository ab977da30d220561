import { MAX_BATCH_PAGES, PAGE_SIZE, type DeviceState } from '@fitdoc/interface';
import { beyondLimit, invalid } from './failures.js';
import { LIMITS } from './limits.js';
import { strongHash } from './seal.js';

/** Where a part lies when the device state is laid out as pages: each part begins a page. */
export interface DevicePart {
  readonly name: string;
  readonly length: number;
  readonly offset: number;
}

/** Bytes that one batch of a device state covers at most. */
export const SLICE_SIZE = MAX_BATCH_PAGES * PAGE_SIZE;

/** Lays parts out one after the other. FORMAT_LIMIT when they take more pages than the cap allows. */
export function layOut(parts: readonly { name: string; length: number }[]): {
  parts: DevicePart[];
  size: number;
} {
  let size = 0;
  const placed = parts.map(({ name, length }) => {
    const part = { name, length, offset: size };
    size += Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
    if (size > LIMITS.deviceState) throw beyondLimit('The device state', size, LIMITS.deviceState);
    return part;
  });
  return { parts: placed, size };
}

/**
 * The bytes of `state` in the given layout: each part where its name is laid out, cut or filled with zeros to
 * the pages there; zeros where `state` has no such part.
 */
export function toImage(
  state: readonly DeviceState[],
  parts: readonly DevicePart[],
  size: number,
): Uint8Array {
  const image = new Uint8Array(size);
  const byName = new Map(state.map((part) => [part.name, part.bytes]));
  for (const { name, length, offset } of parts) {
    const room = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
    const bytes = byName.get(name);
    if (bytes) image.set(bytes.subarray(0, room), offset);
  }
  return image;
}

/** Hash over a device state: its parts' names and bytes, in order, each with its length before it. */
export function deviceStateHash(state: readonly DeviceState[]): Uint8Array {
  const fields: Uint8Array[] = [];
  for (const { name, bytes } of state) {
    const text = new TextEncoder().encode(name);
    const lengths = new Uint8Array(16);
    const view = new DataView(lengths.buffer);
    view.setBigUint64(0, BigInt(text.length), true);
    view.setBigUint64(8, BigInt(bytes.length), true);
    fields.push(lengths, text, bytes);
  }
  return strongHash(...fields);
}

/** ARGUMENT_INVALID when names are too long or not unique, or there are too many parts. */
export function checkParts(state: readonly DeviceState[]): void {
  if (state.length > LIMITS.deviceParts)
    throw invalid(`A device state has at most ${LIMITS.deviceParts} parts.`);
  const names = new Set(state.map((part) => part.name));
  if (names.size !== state.length) throw invalid('The names of the parts of a device state must be unique.');
  for (const name of names) {
    if (name === '' || Buffer.byteLength(name) > LIMITS.text)
      throw invalid('A device state part has a bad name.');
  }
}
