import { concat, dataView } from './bytes.js';
import { damaged } from './failures.js';

/** Bytes of a DISK payload before its batch. */
const FIXED_SIZE = 8;

/** The payload of a DISK record: which space its blocks are of, then an encoded batch. */
export function encodeBlocks(space: number, encoded: Uint8Array): Uint8Array {
  const fixed = new Uint8Array(FIXED_SIZE);
  dataView(fixed).setUint32(0, space, true);
  return concat([fixed, encoded]);
}

/** Reads a DISK record's payload, its checksum verified before; `encoded` is a view of it. FORMAT_DAMAGED. */
export function decodeBlocks(payload: Uint8Array): { readonly space: number; readonly encoded: Uint8Array } {
  if (payload.length < FIXED_SIZE) throw damaged('A record of disk blocks is too short.');
  const view = dataView(payload);
  if (view.getUint32(4, true) !== 0) throw damaged('A record of disk blocks is damaged.');
  return { space: view.getUint32(0, true), encoded: payload.subarray(FIXED_SIZE) };
}

/** The batch of a DISK record that the index says is of `space`. FORMAT_DAMAGED. */
export function blocksOf(
  payload: Uint8Array,
  { space, offset }: { space: number; offset: number },
): Uint8Array {
  const blocks = decodeBlocks(payload);
  if (blocks.space !== space) {
    throw damaged(`The blocks at byte ${offset} are of another disk than the index says.`, {
      details: { offset },
    });
  }
  return blocks.encoded;
}
