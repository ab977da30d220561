import { PAGE_SIZE } from '@fitdoc/interface';
import { dataView } from './headers.js';
import { hasData, LIBXC } from './layout.js';

/** A record of either layer: type, length, and the body padded to 8 bytes. */
export function encodeRecord(type: number, body: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = new Uint8Array(8 + Math.ceil(body.length / 8) * 8);
  dataView(bytes).setUint32(0, type, true);
  dataView(bytes).setUint32(4, body.length, true);
  bytes.set(body, 8);
  return bytes;
}

/**
 * The head of a PAGE_DATA record: everything up to the pages' bytes, which must follow in the same order,
 * 4096 for each page whose type has data.
 */
export function encodePageHead(pfns: ArrayLike<number>, types: ArrayLike<number>): Uint8Array {
  const count = pfns.length;
  const bytes = new Uint8Array(16 + 8 * count);
  const view = dataView(bytes);
  let withData = 0;
  for (let index = 0; index < count; index++) {
    if (hasData(types[index]!)) withData++;
    view.setUint32(16 + 8 * index, pfns[index]!, true);
    view.setUint32(20 + 8 * index, types[index]! << 28, true);
  }
  view.setUint32(0, LIBXC.PAGE_DATA, true);
  view.setUint32(4, 8 + 8 * count + PAGE_SIZE * withData, true);
  view.setUint32(8, count, true);
  return bytes;
}
