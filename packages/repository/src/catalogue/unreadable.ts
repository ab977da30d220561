import { FitdocError, isFitdocError } from '@fitdoc/interface';
import { isIntact, type DamagedEntry, type ListedEntry } from './entry.js';

/** Errors that say something of the object, not of the way to it. */
const DAMAGE = new Set<string>([
  'FORMAT_FOREIGN',
  'FORMAT_VERSION',
  'FORMAT_UNSUPPORTED',
  'FORMAT_TRUNCATED',
  'FORMAT_DAMAGED',
  'FORMAT_LIMIT',
]);

/** Whether an error of reading one object says that this object, and not the store, is out of order. */
export function isOfObject(error: unknown): error is FitdocError {
  return isFitdocError(error) && (DAMAGE.has(error.code) || isWithheld(error));
}

/**
 * Whether the object may be as good as ever: its reading was forbidden, the disk under it failed, or it is sealed with
 * a key that is not at hand. Nobody may take it for lost because of that.
 */
export function isWithheld({ code, details }: FitdocError): boolean {
  const isForbidden = code === 'STORE_DENIED' || code === 'KEY_WRONG';
  return isForbidden || (code === 'STORE_UNAVAILABLE' && details['errno'] === 'EIO');
}

/** Objects that are there and may be good, but cannot be read now. */
export function withheldEntries(entries: readonly ListedEntry[]): DamagedEntry[] {
  return entries.filter((entry): entry is DamagedEntry => !isIntact(entry) && isWithheld(entry.damaged));
}

/**
 * Throws the store's error when all objects were refused, and not one here and one there: then it is the way to
 * them that is barred.
 */
export function refuseWhenAllWithheld(entries: readonly ListedEntry[]): void {
  const [first, ...rest] = withheldEntries(entries);
  if (first && rest.length + 1 === entries.length) throw first.damaged;
}

/**
 * What to say of a chain whose link is missing, given all that is listed of the machine: the object in question,
 * where there is one that can be it. When that one is only withheld, the store's error and not damage.
 */
export function explainHole(error: unknown, listed: readonly ListedEntry[]): unknown {
  if (!isFitdocError(error, 'REPOSITORY_DAMAGED')) return error;
  const { childSequence, missingParentId } = error.details;
  if (typeof childSequence !== 'number' || typeof missingParentId !== 'string') return error;
  const damaged = listed.filter((entry): entry is DamagedEntry => !isIntact(entry));
  // Where a derived object stood its key does not tell: it is thought of when no captured one can be it.
  const below = [
    ...damaged.filter((entry) => entry.derived),
    ...damaged.filter((entry) => !entry.derived && entry.sequence < childSequence),
  ];
  const withheld = below.findLast(({ damaged: why }) => isWithheld(why));
  if (withheld) return withheldError(withheld);
  const culprit = below.at(-1);
  if (!culprit) return error;
  const needs = error.message.replace(/which is missing.*$/, '');
  return new FitdocError(
    'REPOSITORY_DAMAGED',
    `${needs}which is damaged (${culprit.key}: ${culprit.damaged.message})`,
    {
      cause: culprit.damaged,
      ...(error.hint !== undefined && { hint: error.hint }),
      details: { ...error.details, key: culprit.key },
    },
  );
}

function withheldError({ key, damaged }: DamagedEntry): FitdocError {
  return new FitdocError(damaged.code, `The object ${key} cannot be read now: ${damaged.message}`, {
    cause: damaged,
    retryable: true,
    hint: damaged.hint ?? 'Make it readable; nothing that builds on it is lost.',
    details: { ...damaged.details, key },
  });
}

/** Throws unless everything listed was read or is known to be lost: what cannot be read may hold up others. */
export function refuseWithheld(entries: readonly ListedEntry[]): void {
  const [first] = withheldEntries(entries);
  if (first) throw withheldError(first);
}
