import { concat, dataView, isZero } from './bytes.js';
import { beyondLimit, damaged, invalid } from './failures.js';
import { align8 } from './layout.js';
import { LIMITS } from './limits.js';
import type { Extension } from './types.js';

const NAME = /^[a-z0-9._/@-]{1,64}$/;

/** The payload of an EXTN record: length of the name, 4 zero bytes, the name, zeros, the bytes. */
export function encodeExtension(extension: Extension): Uint8Array {
  if (!NAME.test(extension.name)) throw invalid(`"${extension.name}" is no name for an extension.`);
  const name = new TextEncoder().encode(extension.name);
  const head = new Uint8Array(8 + align8(name.length));
  dataView(head).setUint32(0, name.length, true);
  head.set(name, 8);
  const payload = concat([head, extension.bytes]);
  if (payload.length > LIMITS.extension) throw beyondLimit('An extension', payload.length, LIMITS.extension);
  return payload;
}

/** Reads an EXTN record's payload. FORMAT_DAMAGED. */
export function decodeExtension(payload: Uint8Array, mandatory: boolean): Required<Extension> {
  const length = payload.length < 8 ? 0 : dataView(payload).getUint32(0, true);
  const at = 8 + align8(length);
  if (length === 0 || length > 64 || at > payload.length) throw damaged('An extension is damaged.');
  const name = new TextDecoder().decode(payload.subarray(8, 8 + length));
  const clean = NAME.test(name) && isZero(payload.subarray(4, 8)) && isZero(payload.subarray(8 + length, at));
  if (!clean) throw damaged('An extension is damaged.');
  return { name, mandatory, bytes: payload.slice(at) };
}
