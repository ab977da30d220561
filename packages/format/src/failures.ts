import { FitdocError, type FitdocErrorOptions } from '@fitdoc/interface';

const damageHint =
  'Read another copy of the checkpoint, or use an earlier one; `verify` lists all that is damaged.';

/** The bytes are not what the writer wrote. */
export function damaged(message: string, options: FitdocErrorOptions = {}): FitdocError {
  return new FitdocError('FORMAT_DAMAGED', message, { hint: damageHint, ...options });
}

/** The object ends too early. */
export function truncated(message: string, options: FitdocErrorOptions = {}): FitdocError {
  const hint =
    'The object was cut off, or is still being written; use another copy or an earlier checkpoint.';
  return new FitdocError('FORMAT_TRUNCATED', message, { hint, ...options });
}

/** The object is no checkpoint. */
export function foreign(message: string): FitdocError {
  return new FitdocError('FORMAT_FOREIGN', message, { hint: 'Check that the name is that of a checkpoint.' });
}

/** The object is a checkpoint of a format version that this reader does not read. */
export function wrongVersion(version: number, oldest: number, newest: number): FitdocError {
  const range = oldest === newest ? `${newest}` : `${oldest} to ${newest}`;
  return new FitdocError(
    'FORMAT_VERSION',
    `The checkpoint has format version ${version}; this reads ${range}.`,
    {
      hint:
        version > newest ? 'Update fitdoc.' : 'Rewrite it with a fitdoc that reads and writes both versions.',
      details: { version, oldest, newest },
    },
  );
}

/** The checkpoint needs something that this reader does not know. */
export function unsupported(what: string, details: Readonly<Record<string, unknown>> = {}): FitdocError {
  const hint = 'Update fitdoc, or load what provides this part.';
  return new FitdocError(
    'FORMAT_UNSUPPORTED',
    `The checkpoint needs ${what}, which this reader does not know.`,
    {
      hint,
      details,
    },
  );
}

/** A size is beyond what the format allows. */
export function beyondLimit(what: string, value: number, limit: number): FitdocError {
  return new FitdocError('FORMAT_LIMIT', `${what} is ${value}; the format allows ${limit}.`, {
    hint: 'An object that claims this is damaged or hostile; a machine that needs this is not supported.',
    details: { value, limit },
  });
}

/** The caller broke a requirement. */
export function invalid(message: string, hint?: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', message, hint === undefined ? {} : { hint });
}
