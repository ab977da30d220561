import { join } from 'node:path';
import { isMissing } from './failures.js';
import type { FileSystem } from './host/file-system.js';
import { parseName } from './paths.js';

interface Level {
  /** What follows the directory's own key: a segment, and a slash for a directory. */
  readonly text: string;
  readonly path: string;
  readonly isFile: boolean;
}

/** Which keys to walk: those that start with `prefix` and come behind `after`. */
export interface WalkRange {
  readonly prefix: string;
  readonly after: string;
}

/** Keys and paths of all files in the range, in ascending order of the keys. */
export async function* walk(
  files: FileSystem,
  root: string,
  range: WalkRange,
): AsyncGenerator<{ readonly key: string; readonly path: string }> {
  yield* walkDirectory(files, root, '', range);
}

async function* walkDirectory(
  files: FileSystem,
  directory: string,
  base: string,
  range: WalkRange,
): AsyncGenerator<{ readonly key: string; readonly path: string }> {
  const { prefix, after } = range;
  const level = await readLevel(files, directory, '', false);
  // With its slash a directory's name sorts as the keys within do.
  level.sort((one, other) => (one.text < other.text ? -1 : one.text > other.text ? 1 : 0));
  for (const { text, path, isFile } of level) {
    const key = base + text;
    if (isFile) {
      if (key.startsWith(prefix) && key > after) yield { key, path };
    } else if (key.startsWith(prefix) || prefix.startsWith(key)) {
      // All keys within begin with the directory's.
      if (key > after || after.startsWith(key)) yield* walkDirectory(files, path, key, range);
    }
  }
}

/** A directory's entries, those of segments that go on in directories of their own among them. */
async function readLevel(
  files: FileSystem,
  directory: string,
  begun: string,
  within: boolean,
): Promise<Level[]> {
  const entries = await files.list(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const level: Level[] = [];
  for (const { name, kind } of entries) {
    if (kind === 'other') continue;
    const isFile = kind === 'file';
    const parsed = parseName(name, isFile, within);
    if (!parsed) continue;
    const path = join(directory, name);
    const text = begun + parsed.text;
    if (parsed.continues) level.push(...(await readLevel(files, path, text, true)));
    else level.push({ text: isFile ? text : `${text}/`, path, isFile });
  }
  return level;
}
