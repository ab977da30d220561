import { damaged, invalid } from './failures.js';
import type { Fields } from './fields.js';
import { LIMITS } from './limits.js';
import type { CheckpointHeader, DerivedRole } from './types.js';

const HASH = /^[0-9a-f]{64}$/;
const ROLES = ['shortcut', 'merged', 'base'] as const;

/** What a header says of a checkpoint that was made of others. */
type Derivation = Pick<CheckpointHeader, 'kind' | 'parent' | 'supersedes' | 'state' | 'role' | 'merges'>;

/** For the writer: refuses what contradicts itself. ARGUMENT_INVALID. */
export function checkDerivation(header: Derivation): void {
  const wrong = contradiction(header, header.parent?.contentHash, header.merges);
  if (wrong) throw invalid(`The header's ${wrong}`);
  const { state, role, merges = [] } = header;
  if (state !== undefined && !HASH.test(state)) throw invalid("The header's state is no content hash.");
  if (role !== undefined && !ROLES.includes(role)) throw invalid(`The header's role is ${String(role)}.`);
  if (merges.length > LIMITS.merges || merges.some((hash) => !HASH.test(hash))) {
    throw invalid(`A derived checkpoint names at most ${LIMITS.merges} others, by content hash.`);
  }
}

/** Reads `state` and `role`, which header and summary both have. FORMAT_DAMAGED. */
export function readDerivation(
  fields: Fields,
  rest: Pick<Derivation, 'kind' | 'supersedes'>,
  parentHash: string | undefined,
): { state?: string; role?: DerivedRole } {
  const state = fields.optionalText('state', HASH);
  const role = fields.has('role') ? fields.oneOf('role', ROLES) : undefined;
  const derivation = { ...(state === undefined ? {} : { state }), ...(role === undefined ? {} : { role }) };
  const wrong = contradiction({ ...rest, ...derivation }, parentHash);
  if (wrong) throw damaged(`The checkpoint's ${wrong}`);
  return derivation;
}

/** Reads `merges`, which only the header has. FORMAT_DAMAGED. */
export function readMerges(fields: Fields, derived: boolean): readonly string[] {
  const merges = fields.texts('merges', LIMITS.merges, HASH);
  if (merges.length > 0 && !derived) throw damaged('A captured checkpoint names others that it was made of.');
  return merges;
}

function contradiction(
  { kind, supersedes, state, role }: Omit<Derivation, 'parent' | 'merges'>,
  parentHash: string | undefined,
  merges: readonly string[] = [],
): string | undefined {
  if ((state === undefined) !== (role === undefined))
    return 'state and role are there together, or not at all.';
  if (state === undefined) return merges.length > 0 ? 'merges belong to a derived checkpoint.' : undefined;
  if ((role === 'base') !== (kind === 'base')) return `role is ${role}, of a checkpoint that is a ${kind}.`;
  if (state === parentHash) return 'state is its parent.';
  if (supersedes && supersedes.length > 0) return 'state is named, so it supersedes nothing.';
  return undefined;
}
