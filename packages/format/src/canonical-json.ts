import type { Json } from '@fitdoc/interface';
import { damaged, invalid } from './failures.js';
import { LIMITS } from './limits.js';

/**
 * JSON in its one canonical form: no white space, members in ascending order of their names' UTF-16 code
 * units, numbers and strings as ECMAScript serialises them (the JSON Canonicalization Scheme, RFC 8785).
 * Members whose value is undefined are left out. ARGUMENT_INVALID for what JSON cannot hold.
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > LIMITS.jsonDepth) throw invalid(`JSON is nested deeper than ${LIMITS.jsonDepth} levels.`);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(`JSON cannot hold the number ${value}.`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw invalid(`JSON cannot hold a value of type ${typeof value}.`);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member, depth + 1)}`);
  return `{${members.join(',')}}`;
}

/** The canonical form in UTF-8. */
export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalJson(value));
}

/** Reads a canonical JSON document; anything else (also the same value written otherwise) is FORMAT_DAMAGED. */
export function decodeJson(bytes: Uint8Array, what: string): Json {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = JSON.parse(text) as Json;
    if (canonicalJson(value) !== text) throw damaged(`${what} is not in canonical form.`);
    return value;
  } catch (cause) {
    throw damaged(`${what} is not canonical JSON.`, { cause });
  }
}
