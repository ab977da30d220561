import { MAX_BATCH_PAGES } from '@fitdoc/interface';
import { damaged } from './errors.js';
import type { ColumnName } from './layout.js';
import {
  COLUMN,
  COLUMN_NAMES,
  ENTRY_SIZE,
  MAGIC,
  METHOD_COMPRESSED,
  METHOD_PLAIN,
  NAME_PATTERN,
  PREFIX_SIZE,
  TRANSFORM_NONE,
  TRANSFORM_SHUFFLE,
} from './layout.js';

/** A column as the directory describes it; `stored` is a view. Its raw length is a claim, not yet checked. */
export interface DirectoryColumn {
  readonly shuffled: boolean;
  readonly compressed: boolean;
  readonly rawLength: number;
  readonly stored: Uint8Array;
}

/** What stands before the columns of an encoded batch. */
export interface Directory {
  readonly pages: number;
  readonly compressor: string;
  readonly columns: ReadonlyMap<ColumnName, DirectoryColumn>;
}

/** Reads the head of an encoded batch and cuts its columns apart, without copying. Throws CODEC_DAMAGED. */
export function readDirectory(bytes: Uint8Array): Directory {
  if (bytes.length < PREFIX_SIZE || text(bytes, 0, MAGIC.length) !== MAGIC) {
    throw damaged('it does not start like a batch');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pages = view.getUint16(4, true);
  if (pages > MAX_BATCH_PAGES) throw damaged(`it claims ${pages} pages`);
  const columnCount = view.getUint8(6);
  const nameLength = view.getUint8(7);
  const head = PREFIX_SIZE + nameLength + columnCount * ENTRY_SIZE;
  if (columnCount > COLUMN_NAMES.length || head > bytes.length) throw damaged('its head is cut off');
  const compressor = text(bytes, PREFIX_SIZE, nameLength);
  if (!NAME_PATTERN.test(compressor)) throw damaged('its compressor has no proper name');

  const columns = new Map<ColumnName, DirectoryColumn>();
  let data = head;
  let lastId = 0;
  for (let entry = PREFIX_SIZE + nameLength; entry < head; entry += ENTRY_SIZE) {
    const id = view.getUint8(entry);
    const name = COLUMN_NAMES[id - 1];
    if (name === undefined || id <= lastId) throw damaged('its columns are not the known ones in order');
    lastId = id;
    const storedLength = view.getUint32(entry + 8, true);
    if (storedLength > bytes.length - data) throw damaged(`its column ${name} is cut off`);
    columns.set(name, readEntry(view, entry, bytes.subarray(data, data + storedLength)));
    data += storedLength;
  }
  if (data !== bytes.length) throw damaged('bytes follow its last column');
  return { pages, compressor, columns };
}

function readEntry(view: DataView, entry: number, stored: Uint8Array): DirectoryColumn {
  const transform = view.getUint8(entry + 1);
  const method = view.getUint8(entry + 2);
  const rawLength = view.getUint32(entry + 4, true);
  if (transform > TRANSFORM_SHUFFLE || method > METHOD_COMPRESSED || view.getUint8(entry + 3) !== 0) {
    throw damaged('a column is stored in a way that this version does not define');
  }
  if (transform !== TRANSFORM_NONE && view.getUint8(entry) !== COLUMN.words) {
    throw damaged('a column other than the words is shuffled');
  }
  const plain = method === METHOD_PLAIN;
  if (rawLength === 0 || (plain ? stored.length !== rawLength : stored.length >= rawLength)) {
    throw damaged('a column has lengths that no encoder writes');
  }
  return { shuffled: transform === TRANSFORM_SHUFFLE, compressed: !plain, rawLength, stored };
}

function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
