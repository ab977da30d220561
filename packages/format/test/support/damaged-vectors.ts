import { encodeJson } from '../../src/canonical-json.js';
import {
  OPTIONAL_BIT,
  RECORD_BATCH,
  RECORD_DEVICE_STATE,
  RECORD_EXTENSION,
  typeName,
} from '../../src/layout.js';
import { LIMITS } from '../../src/limits.js';
import { forge, type ForgedRecord } from './forge.js';
import { takeApart } from './parts.js';

/** An object that a reader must refuse, named by what is wrong with it. */
export interface DamagedVector {
  readonly name: string;
  readonly about: string;
  readonly bytes: Uint8Array;
}

const UNKNOWN_TYPE = new DataView(new TextEncoder().encode('WXYZ').buffer).getUint32(0, true);

export interface Place {
  readonly offset: number;
  readonly type: number;
  readonly length: number;
}

/** Where the records of a valid checkpoint stand, END and all. */
export function placesOf(bytes: Uint8Array): Map<string, Place> {
  const places = new Map<string, Place>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let offset = 16; offset < bytes.length;) {
    const [type, length] = [view.getUint32(offset, true), view.getUint32(offset + 4, true)];
    if (!places.has(typeName(type))) places.set(typeName(type), { offset, type, length });
    offset += 16 + Math.ceil(length / 8) * 8;
  }
  return places;
}

/** Simple damage: a byte changed in each part of the object, and the object cut off in each. */
function accidents(base: Uint8Array): DamagedVector[] {
  const flip = (name: string, at: number, about: string): DamagedVector => {
    const bytes = base.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 0x20;
    return { name: `${name}-flipped`, about: `A bit is changed in ${about}.`, bytes };
  };
  const list: DamagedVector[] = [
    flip('magic', 2, 'the magic'),
    flip('version', 8, 'the version, whose check then fails'),
  ];
  for (const [type, { offset, length }] of placesOf(base)) {
    const name = type.toLowerCase().replace('.', '');
    list.push(flip(`${name}-type`, offset, `the type of the first ${type} record`));
    list.push(flip(`${name}-length`, offset + 4, `the length of the first ${type} record`));
    list.push(flip(`${name}-checksum`, offset + 9, `the checksum of the first ${type} record`));
    list.push(
      flip(`${name}-payload`, offset + 16 + (length >> 1), `the payload of the first ${type} record`),
    );
    if (length % 8 !== 0)
      list.push(flip(`${name}-padding`, offset + 16 + length, `the padding of the first ${type} record`));
    const cut = {
      about: `The object ends within the first ${type} record.`,
      bytes: base.slice(0, offset + 20),
    };
    list.push({ name: `cut-in-${name}`, ...cut });
  }
  return [
    ...list,
    { name: 'cut-to-nothing', about: 'The object is empty.', bytes: new Uint8Array(0) },
    { name: 'cut-before-end', about: 'The END record is missing.', bytes: base.slice(0, -128) },
    {
      name: 'bytes-after-end',
      about: 'Bytes follow the END record.',
      bytes: new Uint8Array([...base, 0, 0, 0, 0]),
    },
    {
      name: 'foreign',
      about: 'The object is a text file.',
      bytes: new TextEncoder().encode('Dear diary,\n'.repeat(20)),
    },
  ];
}

/** Contents that break a rule while every checksum and hash fits. */
function contradictions(base: Uint8Array): DamagedVector[] {
  const parts = takeApart(base);
  const { records, summary } = parts;
  const of = (type: number) => records.findIndex((record) => record.type === type);
  const claim = (at: number, change: object) =>
    records.map((record, number) =>
      number === at ? { ...record, claim: { ...record.claim, ...change } } : record,
    );
  const make = (name: string, about: string, list: readonly ForgedRecord[], more = {}): DamagedVector => ({
    name,
    about,
    bytes: forge({ records: list, summary, ...more }),
  });
  const stored = JSON.parse(new TextDecoder().decode(summary)) as Record<string, unknown>;
  const unknown = { type: UNKNOWN_TYPE, payload: new Uint8Array(8) };
  const mandatory = records.find(({ type }) => (type & ~OPTIONAL_BIT) === RECORD_EXTENSION);
  const first = of(RECORD_BATCH);
  const header = records[0]!;
  return [
    make('newer-version', 'The format version is 3.', records, { version: 3 }),
    make('unknown-mandatory-record', 'A record of an unknown type may not be skipped.', [
      ...records,
      unknown,
    ]),
    make('unknown-mandatory-extension', 'An extension that no reader knows must be known.', [
      ...records,
      { type: RECORD_EXTENSION, payload: mandatory?.payload ?? unknown.payload },
    ]),
    make('header-missing', 'The first record is no header.', records.slice(1)),
    make('header-twice', 'There are two headers.', records.toSpliced(1, 0, ...records.slice(0, 1))),
    make('device-state-twice', 'There are two device states.', [
      ...records,
      ...records.slice(of(RECORD_DEVICE_STATE), of(RECORD_DEVICE_STATE) + 1),
    ]),
    make(
      'batches-out-of-order',
      'The batches are in descending order.',
      records.toSorted((a, b) => (b.claim.firstGfn ?? 0) - (a.claim.firstGfn ?? 0) || 0),
    ),
    make(
      'batches-overlap',
      'The index says that a batch reaches into the next.',
      claim(first, { lastGfn: 4 }),
    ),
    make(
      'batch-beyond-memory',
      'The index says that a batch holds a page which the machine has not.',
      claim(
        records.findLastIndex((record) => record.type === RECORD_BATCH),
        { lastGfn: 10 },
      ),
    ),
    make(
      'batch-of-other-pages',
      'A batch holds other pages than the index says.',
      claim(first, { firstGfn: 1 }),
    ),
    make('index-gap', 'The index leaves out bytes between two records.', claim(1, { offset: 4096 })),
    make('index-hash-wrong', 'END names another hash for the index.', records, {
      end: { indexHash: new Uint8Array(32).fill(1) },
    }),
    make('content-hash-wrong', 'END names another content hash.', records, {
      end: { contentHash: new Uint8Array(32).fill(1) },
    }),
    make(
      'record-hash-wrong',
      'The index names another strong hash for the header.',
      claim(0, { hash: new Uint8Array(32).fill(1) }),
    ),
    make('summary-disagrees', 'The summary says another number of pages than the index.', records, {
      summary: encodeJson({ ...stored, pages: 77 }),
    }),
    make('summary-of-a-state', 'The summary names a state that the header does not.', records, {
      summary: encodeJson({ ...stored, state: 'a'.repeat(64), role: 'base' }),
    }),
    make('summary-state-without-role', 'The summary names a state and no role.', records, {
      summary: encodeJson({ ...stored, state: 'a'.repeat(64) }),
    }),
    make('summary-role-without-state', 'The summary names a role and no state.', records, {
      summary: encodeJson({ ...stored, role: 'base' }),
    }),
    make('summary-role-of-another-kind', 'The summary says that a base is a short cut.', records, {
      summary: encodeJson({ ...stored, state: 'a'.repeat(64), role: 'shortcut' }),
    }),
    make('header-of-a-state', 'The header names a state that the summary does not.', [
      { ...header, payload: headerWith(header.payload, { state: 'a'.repeat(64), role: 'base' }) },
      ...records.slice(1),
    ]),
    make('header-merges-without-state', 'The header of a captured checkpoint names what it was made of.', [
      { ...header, payload: headerWith(header.payload, { merges: ['a'.repeat(64)] }) },
      ...records.slice(1),
    ]),
    make('summary-not-canonical', 'The summary has a blank at its end.', records, {
      summary: new Uint8Array([...summary, 32]),
    }),
    make('summary-too-large', 'The summary is larger than its cap.', records, {
      summary: new Uint8Array(LIMITS.summary + 1).fill(32),
    }),
  ];
}

/** A HEAD record's payload with further members in its JSON. */
export function headerWith(payload: Uint8Array, members: object): Uint8Array {
  const known = JSON.parse(new TextDecoder().decode(payload.subarray(80))) as object;
  const json = encodeJson({ ...known, ...members });
  const changed = new Uint8Array([...payload.subarray(0, 80), ...json]);
  new DataView(changed.buffer).setUint32(40, json.length, true);
  return changed;
}

/** Every object that must be refused. */
export function damagedVectors(base: Uint8Array): DamagedVector[] {
  return [...accidents(base), ...contradictions(base)];
}
