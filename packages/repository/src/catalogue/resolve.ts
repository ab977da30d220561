import { FitdocError } from '@fitdoc/interface';
import { shortId, supersededHashes, type CheckpointEntry } from './entry.js';
import { Lineage } from './lineage.js';
import { lastFirst, newestFirst } from './order.js';
import { parseTime } from './time-spec.js';

/** What a spec is resolved against. */
export interface ResolveContext {
  /** All objects, or those of one machine. */
  readonly entries: readonly CheckpointEntry[];
  /** Tag name to content hash. */
  readonly tags: ReadonlyMap<string, string>;
  readonly nowMs: number;
  /** Told what a name was taken for that can mean two things. */
  readonly onNote?: ((note: string) => void) | undefined;
}

const HEX = /^[0-9a-f]{4,64}$/i;
const ANCESTOR = /~(\d*)$/;

/**
 * Finds the checkpoint that `spec` names. In order of trial: `latest`; a tag; `@TIME` or an absolute time (the
 * last checkpoint captured at or before); an id, or a unique prefix of it of at least four digits. Any of
 * them after `MACHINE/` (a machine's id or name) looks at that machine only, and `~N` behind it goes N parents
 * up (`~` is `~1`, and they add up). Errors: CHECKPOINT_NOT_FOUND, CHECKPOINT_AMBIGUOUS, ARGUMENT_INVALID.
 */
export function resolveSpec(spec: string, context: ResolveContext): CheckpointEntry {
  let rest = spec.trim();
  let ancestors = 0;
  for (let match = ANCESTOR.exec(rest); match; match = ANCESTOR.exec(rest)) {
    ancestors += match[1] === '' ? 1 : Number(match[1]);
    rest = rest.slice(0, match.index);
  }
  const slash = rest.indexOf('/');
  const entries = slash < 0 ? context.entries : ofMachine(context.entries, rest.slice(0, slash));
  // Parents are looked up among all: the machine only narrows what the name may mean.
  const lineage = new Lineage(context.entries);
  const named = resolveName(rest.slice(slash + 1), { ...context, entries }, lineage);
  return ancestors === 0 ? named : ancestorOf(named, ancestors, lineage);
}

function resolveName(name: string, context: ResolveContext, lineage: Lineage): CheckpointEntry {
  if (name === 'latest') return latest(context.entries) ?? fail(notFound(name, context.entries));
  const tagged = context.tags.get(name);
  if (tagged !== undefined) return atTag(name, tagged, context, lineage);
  const time = parseTime(name.startsWith('@') ? name.slice(1) : name, context.nowMs, context.onNote);
  if (time !== undefined) return atTime(name, time, new Lineage(context.entries).states());
  if (HEX.test(name)) return byPrefix(name.toLowerCase(), new Lineage(context.entries));
  throw notFound(name, context.entries);
}

/**
 * The last of a machine's checkpoints, by its own count: no clock that was set back, or ahead for a while, can
 * change it. Of several machines' the one captured last.
 */
export function latest(entries: readonly CheckpointEntry[]): CheckpointEntry | undefined {
  const heads = new Map<string, CheckpointEntry>();
  for (const leaf of new Lineage(entries).leaves()) {
    const head = heads.get(leaf.machineId);
    if (!head || lastFirst(leaf, head) < 0) heads.set(leaf.machineId, leaf);
  }
  return [...heads.values()].sort(newestFirst)[0];
}

function ofMachine(entries: readonly CheckpointEntry[], machine: string): CheckpointEntry[] {
  const byId = entries.filter((entry) => entry.machineId === machine);
  if (byId.length > 0) return byId;
  const byName = entries.filter((entry) => entry.machineName === machine);
  const ids = new Set(byName.map((entry) => entry.machineId));
  if (ids.size > 1) {
    throw new FitdocError('CHECKPOINT_AMBIGUOUS', `${ids.size} machines are called ${machine}.`, {
      hint: `Use an id: ${[...ids].join(', ')}.`,
      details: { candidates: [...ids] },
    });
  }
  if (ids.size === 1) return byName;
  const known = [...new Set(entries.map((entry) => entry.machineId))];
  throw new FitdocError('CHECKPOINT_NOT_FOUND', `There are no checkpoints of a machine ${machine}.`, {
    hint: known.length > 0 ? `There are of: ${known.slice(0, 10).join(', ')}.` : 'The repository is empty.',
    details: { machine, candidates: known },
  });
}

function atTag(tag: string, hash: string, context: ResolveContext, lineage: Lineage): CheckpointEntry {
  const found = lineage.face(hash);
  if (found && context.entries.some((entry) => entry.machineId === found.machineId)) return found;
  throw new FitdocError('CHECKPOINT_NOT_FOUND', `The checkpoint tagged ${tag} is not there.`, {
    hint: "It is another machine's, or it is missing or damaged. Move or remove the tag.",
    details: { tag, contentHash: hash },
  });
}

/**
 * Of each machine the last by its own count that was captured at or before the time: where the clock was set back, what
 * it shows twice means the later stretch. Of several machines' the one captured last.
 */
function atTime(spec: string, time: number, entries: readonly CheckpointEntry[]): CheckpointEntry {
  const heads = new Map<string, CheckpointEntry>();
  for (const entry of entries) {
    if (entry.capturedAtMs > time) continue;
    const head = heads.get(entry.machineId);
    if (!head || lastFirst(entry, head) < 0) heads.set(entry.machineId, entry);
  }
  return [...heads.values()].sort(newestFirst)[0] ?? fail(notFound(spec, entries));
}

function byPrefix(prefix: string, lineage: Lineage): CheckpointEntry {
  // The id is the beginning of the content hash, so one comparison serves both. A derived object's own hash is
  // no name of the state, but what verify prints of it is found as well.
  const begins = (hash: string) => hash.startsWith(prefix);
  const named = lineage.entries.filter(
    (entry) => begins(entry.contentHash) || begins(entry.objectHash) || supersededHashes(entry).some(begins),
  );
  const found = [...new Set(named.map((entry) => lineage.face(entry.contentHash)!))];
  const first = found[0];
  if (!first) throw notFound(prefix, lineage.states());
  if (found.length === 1) return first;
  const candidates = found.map((entry) => entry.id);
  throw new FitdocError('CHECKPOINT_AMBIGUOUS', `${found.length} checkpoints begin with ${prefix}.`, {
    hint: `Write more of the id: ${candidates.slice(0, 5).map(shortId).join(', ')}.`,
    details: { candidates },
  });
}

function ancestorOf(entry: CheckpointEntry, count: number, lineage: Lineage): CheckpointEntry {
  let at = entry;
  for (let up = 0; up < count; up++) {
    const parent = lineage.previousOf(at);
    if (!parent) throw noAncestor(entry, up, count, at, lineage);
    at = parent;
  }
  return at;
}

function noAncestor(
  entry: CheckpointEntry,
  ancestors: number,
  asked: number,
  oldest: CheckpointEntry,
  lineage: Lineage,
): FitdocError {
  // Says what is missing, where it is damage that ends the line.
  lineage.chain(oldest);
  return new FitdocError(
    'CHECKPOINT_NOT_FOUND',
    `Checkpoint ${shortId(entry.id)} has ${ancestors} ancestors, not ${asked}.`,
    { hint: `The first of them is ${shortId(oldest.id)}.`, details: { id: entry.id, ancestors } },
  );
}

function notFound(spec: string, entries: readonly CheckpointEntry[]): FitdocError {
  const newest = [...entries].sort(newestFirst).slice(0, 5);
  const hint =
    newest.length === 0
      ? 'There are no checkpoints yet.'
      : `The newest are ${newest.map((entry) => shortId(entry.id)).join(', ')}.`;
  return new FitdocError('CHECKPOINT_NOT_FOUND', `No checkpoint is meant by '${spec}'.`, {
    hint,
    details: { spec, candidates: newest.map((entry) => entry.id) },
  });
}

function fail(error: FitdocError): never {
  throw error;
}
