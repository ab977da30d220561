import { FitdocError } from '@fitdoc/interface';

/** A location taken apart at its first colon. */
export interface Location {
  /** Lower-case letters, digits, plus signs and dashes, two at least. */
  readonly scheme: string;
  /** What follows the colon: the adapter's own to read. */
  readonly rest: string;
}

/** The scheme of a location that names none. */
export const DEFAULT_SCHEME = 'fs';

/**
 * Reads `scheme:rest`. A text without a scheme is a path, and so belongs to `fs`; a path that looks as if it
 * had a scheme is written with `./` or `fs:` before it. Errors: LOCATION_INVALID for an empty text.
 */
export function parseLocation(text: string): Location {
  if (text === '') {
    throw new FitdocError('LOCATION_INVALID', 'A location must not be empty.', {
      hint: 'Use a path, or scheme:location such as s3:bucket/prefix.',
    });
  }
  const match = /^([a-z][a-z0-9+-]+):(.*)$/s.exec(text);
  return match ? { scheme: match[1] ?? '', rest: match[2] ?? '' } : { scheme: DEFAULT_SCHEME, rest: text };
}
