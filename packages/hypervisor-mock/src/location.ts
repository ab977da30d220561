import { FitdocError } from '@fitdoc/interface';

/** Where a mock machine is: in this process by name, in a file, or in a recording. */
export interface MockLocation {
  readonly kind: 'name' | 'file' | 'trace';
  /** The name, or the path. */
  readonly target: string;
  /** What follows the last question mark, undecoded. */
  readonly query: string;
}

/**
 * Reads `NAME?query`, `file:PATH?query` or `trace:PATH?query`; a leading `mock:` may be there.
 * Errors: LOCATION_INVALID.
 */
export function parseMockLocation(location: string): MockLocation {
  const text = location.startsWith('mock:') ? location.slice('mock:'.length) : location;
  const mark = text.lastIndexOf('?');
  const place = mark < 0 ? text : text.slice(0, mark);
  const query = mark < 0 ? '' : text.slice(mark + 1);
  for (const kind of ['file', 'trace'] as const) {
    if (!place.startsWith(`${kind}:`)) continue;
    const target = place.slice(kind.length + 1);
    if (target === '') throw invalid(location, `after "${kind}:" comes a path`);
    return { kind, target, query };
  }
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(place)) {
    throw invalid(location, 'a name has 1 to 64 letters, digits, dots, dashes and underscores');
  }
  return { kind: 'name', target: place, query };
}

function invalid(location: string, why: string): FitdocError {
  return new FitdocError('LOCATION_INVALID', `"${location}" is no location of a mock machine: ${why}.`, {
    hint: 'Use mock:NAME, mock:NAME?workload=database&memory=1G, mock:file:PATH or mock:trace:PATH.',
  });
}
