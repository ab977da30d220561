import { idOf } from '@fitdoc/format';
import type { CheckpointEntry } from '../entry.js';
import type { Cell } from './columns.js';

/** Names of columns, each with a value for every entry. */
export type Columns = Map<string, Cell[]>;

const NAME = /^(\d{10,16})-(\d{14,16})-([0-9a-f]{12})$/;
/** Follow from other columns. */
const DERIVED = new Set([
  'id',
  'objectHash',
  'state',
  'parentId',
  'parentContentHash',
  'key',
  'metrics',
  'damaged',
]);
const METRIC = 'metrics.';
const ABOVE = 'parent.above';

/**
 * Entries of one directory as columns: of the key its number, time and nonce, of the summary every member, whatever
 * it is called, of the metrics each by itself.
 */
export function columnsOf(entries: readonly CheckpointEntry[]): Columns {
  const columns: Columns = new Map();
  const put = (row: number, name: string, cell: Cell): void => {
    let column = columns.get(name);
    if (!column) {
      column = new Array<Cell>(entries.length).fill(undefined);
      columns.set(name, column);
    }
    column[row] = cell;
  };
  const rows = new Map<string, number>();
  const split = entries.every((entry) => !Object.hasOwn(entry.metrics, '__proto__'));
  for (const [row, entry] of entries.entries()) {
    const [, number, created, nonce] = NAME.exec(nameOfKey(entry.key)) ?? [];
    put(row, 'key.number', Number(number));
    put(row, 'key.created', Number(created));
    put(row, 'key.nonce', nonce);
    for (const [name, value] of Object.entries(entry)) if (!DERIVED.has(name)) put(row, name, value as Cell);
    if (entry.objectHash !== entry.contentHash) put(row, 'objectHash', entry.objectHash);
    putParent(put, row, entry, rows);
    rows.set(entry.contentHash, row);
    if (!split) put(row, 'metrics', entry.metrics);
    else for (const [name, value] of Object.entries(entry.metrics)) put(row, METRIC + name, value);
  }
  return columns;
}

/** Most parents stand a row or a few above: then only how many. */
function putParent(
  put: (row: number, name: string, cell: Cell) => void,
  row: number,
  { parentContentHash }: CheckpointEntry,
  rows: ReadonlyMap<string, number>,
): void {
  if (parentContentHash === undefined) return;
  const above = rows.get(parentContentHash);
  if (above === undefined) put(row, 'parentContentHash', parentContentHash);
  else put(row, ABOVE, row - above);
}

/** Members that every entry has. */
export const MEMBERS = [
  'contentHash',
  'formatVersion',
  'bytes',
  'machineId',
  'machineName',
  'hypervisor',
  'scheme',
  'memoryPages',
  'sequence',
  'kind',
  'createdAtMs',
  'capturedAtMs',
  'pages',
  'rawBytes',
  'changedWords',
  'wordPages',
  'wholePages',
  'zeroPages',
  'deviceStateBytes',
  'deviceStateDelta',
  'batches',
] as const;

/** Written out, so that every member has its place from the start: adding them one by one takes more time and memory. */
function bare(row: number, of: Record<(typeof MEMBERS)[number], Cell[]>) {
  const contentHash = of.contentHash[row] as string;
  return {
    id: idOf(contentHash),
    contentHash,
    objectHash: contentHash as Cell,
    formatVersion: of.formatVersion[row],
    bytes: of.bytes[row],
    machineId: of.machineId[row],
    machineName: of.machineName[row],
    hypervisor: of.hypervisor[row],
    scheme: of.scheme[row],
    memoryPages: of.memoryPages[row],
    sequence: of.sequence[row],
    kind: of.kind[row],
    createdAtMs: of.createdAtMs[row],
    capturedAtMs: of.capturedAtMs[row],
    pages: of.pages[row],
    rawBytes: of.rawBytes[row],
    changedWords: of.changedWords[row],
    wordPages: of.wordPages[row],
    wholePages: of.wholePages[row],
    zeroPages: of.zeroPages[row],
    deviceStateBytes: of.deviceStateBytes[row],
    deviceStateDelta: of.deviceStateDelta[row],
    batches: of.batches[row],
    metrics: undefined as unknown,
    key: '',
  };
}

/** The entries of columns (all of `MEMBERS` among them), whose objects lie in `directory` (with its slash). */
export function entriesOf(columns: Columns, count: number, directory: string): CheckpointEntry[] {
  const numbers = columns.get('key.number') as readonly number[];
  const created = columns.get('key.created') as readonly number[];
  const nonces = columns.get('key.nonce') as readonly string[];
  const known = Object.fromEntries(MEMBERS.map((name) => [name, columns.get(name)])) as Parameters<
    typeof bare
  >[1];
  const rest = otherMembers(columns);
  const metrics = [...columns]
    .filter(([name]) => name.startsWith(METRIC))
    .map(([name, cells]) => [name.slice(METRIC.length), cells] as const);
  const entries = new Array<CheckpointEntry>(count);
  for (let row = 0; row < count; row++) {
    const entry = bare(row, known);
    const number = String(numbers[row]).padStart(10, '0');
    const time = String(created[row]).padStart(14, '0');
    entry.key = `${directory}${number}-${time}-${nonces[row]!}.fitdoc`;
    entry.metrics = metricsOf(metrics, row);
    const open = entry as Record<string, unknown>;
    for (const [name, cells] of rest) if (cells[row] !== undefined) open[name] = cells[row];
    // What was made of others shows the state that its content hash names.
    if (open['role'] !== undefined) open['state'] = entry.contentHash;
    addParent(open, row, columns, entries);
    entries[row] = entry as unknown as CheckpointEntry;
  }
  return entries;
}

/** Columns that this version does not know, or that not every entry has. */
function otherMembers(columns: Columns): [string, Cell[]][] {
  const known = new Set<string>([...MEMBERS, ABOVE, 'parentContentHash']);
  return [...columns].filter(
    ([name]) => !known.has(name) && !name.startsWith('key.') && !name.startsWith(METRIC),
  );
}

/** A parent that stands above lends its strings. */
function addParent(
  entry: Record<string, unknown>,
  row: number,
  columns: Columns,
  entries: readonly CheckpointEntry[],
): void {
  const up = columns.get(ABOVE)?.[row];
  const above = up === undefined ? undefined : entries[row - Number(up)];
  const hash = above?.contentHash ?? columns.get('parentContentHash')?.[row];
  if (hash === undefined) return;
  entry['parentContentHash'] = hash;
  entry['parentId'] = above?.id ?? idOf(hash as string);
}

function metricsOf(
  columns: readonly (readonly [string, readonly Cell[]])[],
  row: number,
): Record<string, Cell> {
  const metrics: Record<string, Cell> = {};
  for (const [name, cells] of columns) if (cells[row] !== undefined) metrics[name] = cells[row];
  return metrics;
}

/** The last part of an object's key, without its ending. */
export function nameOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1, -'.fitdoc'.length);
}

/** Whether a key can be said by its number, time and nonce. */
export function fitsColumns(key: string): boolean {
  const [, number, created] = NAME.exec(nameOfKey(key)) ?? [];
  return (
    number !== undefined &&
    String(Number(number)).padStart(10, '0') === number &&
    String(Number(created)).padStart(14, '0') === created
  );
}
