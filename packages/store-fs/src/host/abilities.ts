import { join } from 'node:path';
import { errnoOf } from '../failures.js';
import type { FileSystem } from './file-system.js';
import type { Incoming } from '../put/incoming.js';

/** How a file gets a name that nobody else has. */
export type Naming =
  /** By a hard link: it fails when the name is taken. */
  | 'link'
  /** By a rename that fails when the name is taken. */
  | 'rename-if-absent'
  /** By a look and a rename: of two processes that store one key at a time, the later may win. */
  | 'look-then-rename';

/** What a file system can do, found out by trying. */
export interface Abilities {
  readonly naming: Naming;
  /** A directory's names can be made durable. */
  readonly syncsDirectories: boolean;
  /** `A` and `a` are two names. */
  readonly lettersHaveCase: boolean;
}

export const ALL_ABILITIES: Abilities = { naming: 'link', syncsDirectories: true, lettersHaveCase: true };

const LACKING = ['EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EBADF'];

/**
 * Tries what the store needs, with two small files that are gone afterwards. Throws as the file system does
 * where nothing can be written at all.
 */
export async function tryAbilities(files: FileSystem, incoming: Incoming, root: string): Promise<Abilities> {
  const [one, other] = [await emptyFile(incoming), await emptyFile(incoming)];
  try {
    const directory = join(one, '..');
    const capital = join(directory, one.slice(directory.length + 1).toUpperCase());
    const lettersHaveCase = await files.stat(capital).then(
      () => false,
      () => true,
    );
    const syncsDirectories = await works(() => files.syncDirectory(root));
    return { naming: await namingOf(files, one, other), syncsDirectories, lettersHaveCase };
  } finally {
    for (const path of [one, other, `${one}.2`]) await files.unlink(path).catch(() => undefined);
  }
}

async function namingOf(files: FileSystem, one: string, other: string): Promise<Naming> {
  if (await works(() => files.link(one, `${one}.2`))) return 'link';
  const rename = files.renameIfAbsent?.bind(files);
  if (!rename) return 'look-then-rename';
  // It must refuse what is there, and not only succeed where nothing is.
  const refuses = await rename(one, other).then(
    () => false,
    (error: unknown) => errnoOf(error) === 'EEXIST',
  );
  return refuses && (await works(() => rename(one, `${one}.2`))) ? 'rename-if-absent' : 'look-then-rename';
}

async function emptyFile(incoming: Incoming): Promise<string> {
  const { path, file } = await incoming.create();
  await file.close();
  return path;
}

async function works(attempt: () => Promise<void>): Promise<boolean> {
  try {
    await attempt();
    return true;
  } catch (error) {
    if (LACKING.includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** What is lost, for the operator. */
export function notesOn({ naming, syncsDirectories, lettersHaveCase }: Abilities, root: string): string[] {
  const notes: string[] = [];
  if (naming === 'look-then-rename') {
    notes.push(
      `The file system of ${root} has neither hard links nor renames that spare what is there: one fitdoc at a time may write to it, and for a moment a name that is replaced may be missing.`,
    );
  }
  if (!syncsDirectories) {
    notes.push(
      `The file system of ${root} cannot sync directories: a crash of the host may take the newest checkpoints.`,
    );
  }
  if (!lettersHaveCase) {
    notes.push(
      `The file system of ${root} takes A for a: the names of machines must differ in more than letter case.`,
    );
  }
  return notes;
}
