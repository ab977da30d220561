/**
 * How keys lie in directories. A key's segments are names of directories, its last one that of a file, as they
 * are, but for three cases that a file system treats unlike the port:
 *
 * - `a` and `a/b` may both be keys, while no name is both a file and a directory: the name of a directory has
 *   no dot, that of a file has one; those that are otherwise get a `+` at the end.
 * - a segment may be longer than a name: after every 200 characters a directory `...=` begins, in which the
 *   rest of the segment has a `=` before it.
 *
 * `+` and `=` are in no key, so both directions are exact.
 */
const PIECE = 200;

/** The path of a key's file, relative to the root, as names. */
export function namesOfKey(key: string): string[] {
  const segments = key.split('/');
  const names: string[] = [];
  for (const [index, segment] of segments.entries()) {
    let rest = segment;
    let lead = '';
    while (rest.length > PIECE) {
      names.push(`${lead}${rest.slice(0, PIECE)}=`);
      rest = rest.slice(PIECE);
      lead = '=';
    }
    const isFile = index === segments.length - 1;
    names.push(`${lead}${rest}${rest.includes('.') === isFile ? '' : '+'}`);
  }
  return names;
}

/** What a name in a directory of the store stands for. */
export interface ParsedName {
  /** A segment, or a piece of one. */
  readonly text: string;
  /** The segment goes on in this directory. */
  readonly continues: boolean;
}

/** Reads a name back; undefined when this store did not make it. `within` a segment that began further up. */
export function parseName(name: string, isFile: boolean, within: boolean): ParsedName | undefined {
  if (within !== name.startsWith('=')) return undefined;
  const body = within ? name.slice(1) : name;
  if (!isFile && body.endsWith('=')) {
    const text = body.slice(0, -1);
    return text.length === PIECE && isText(text, within) ? { text, continues: true } : undefined;
  }
  const marked = body.endsWith('+');
  const text = marked ? body.slice(0, -1) : body;
  if (text.length > PIECE || !isText(text, within)) return undefined;
  return marked === (text.includes('.') !== isFile) ? { text, continues: false } : undefined;
}

function isText(text: string, within: boolean): boolean {
  return /^[A-Za-z0-9._-]+$/.test(text) && (within || !text.startsWith('.'));
}
