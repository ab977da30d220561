import { FitdocError } from '@fitdoc/interface';
import { shortId, type CheckpointEntry } from './entry.js';
import { Lineage, newestFirst } from './lineage.js';
import { parseTime } from './time-spec.js';

/** What a spec is resolved against. */
export interface ResolveContext {
  readonly entries: readonly CheckpointEntry[];
  /** Tag name to content hash. */
  readonly tags: ReadonlyMap<string, string>;
  readonly nowMs: number;
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
  const time = parseTime(name.startsWith('@') ? name.slice(1) : name, context.nowMs);
  if (time !== undefined) return atTime(name, time, context.entries);
  if (HEX.test(name)) return byPrefix(name.toLowerCase(), context.entries);
  throw notFound(name, context.entries);
}

/** The newest of the checkpoints that nothing follows: not fooled by a clock that was set back. */
export function latest(entries: readonly CheckpointEntry[]): CheckpointEntry | undefined {
  return new Lineage(entries).leaves().sort(newestFirst)[0];
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
  const found = lineage.providers(hash)[0];
  if (found && context.entries.includes(found)) return found;
  throw new FitdocError('CHECKPOINT_NOT_FOUND', `The checkpoint tagged ${tag} is not there.`, {
    hint: "It is another machine's, or it is missing or damaged. Move or remove the tag.",
    details: { tag, contentHash: hash },
  });
}

function atTime(spec: string, time: number, entries: readonly CheckpointEntry[]): CheckpointEntry {
  const before = entries.filter((entry) => entry.capturedAtMs <= time).sort(newestFirst);
  return before[0] ?? fail(notFound(spec, entries));
}

function byPrefix(prefix: string, entries: readonly CheckpointEntry[]): CheckpointEntry {
  // The id is the beginning of the content hash, so one comparison serves both.
  const found = entries.filter((entry) => entry.contentHash.startsWith(prefix));
  const first = found[0];
  if (!first) throw notFound(prefix, entries);
  if (found.every((entry) => entry.contentHash === first.contentHash)) return first;
  const candidates = found.map((entry) => entry.id);
  throw new FitdocError('CHECKPOINT_AMBIGUOUS', `${found.length} checkpoints begin with ${prefix}.`, {
    hint: `Write more of the id: ${candidates.slice(0, 5).map(shortId).join(', ')}.`,
    details: { candidates },
  });
}

function ancestorOf(entry: CheckpointEntry, count: number, lineage: Lineage): CheckpointEntry {
  const chain = lineage.chain(entry);
  const found = chain[chain.length - 1 - count];
  if (found) return found;
  throw new FitdocError(
    'CHECKPOINT_NOT_FOUND',
    `Checkpoint ${shortId(entry.id)} has ${chain.length - 1} ancestors, not ${count}.`,
    { hint: `Its base is ${shortId(chain[0]!.id)}.`, details: { id: entry.id, ancestors: chain.length - 1 } },
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
