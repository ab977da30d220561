import { FitdocError, isFitdocError } from '@fitdoc/interface';
import { shortId, type CheckpointEntry } from '@fitdoc/repository';

/** For `catch`: an error of what objects hold says which object it is, or which it may be. Others pass as they are. */
export function nameObject(entries: readonly CheckpointEntry[]): (error: unknown) => never {
  return (error) => {
    if (!isFitdocError(error) || !/^(FORMAT|CODEC)/.test(error.code)) throw error;
    const [first, last] = [entries[0], entries.at(-1)];
    if (!first || !last || error.details['key'] !== undefined) throw error;
    const one = first.key === last.key;
    const which = one
      ? `The object ${first.key} of checkpoint ${shortId(first.id)}`
      : `An object between ${first.key} and ${last.key}`;
    throw new FitdocError(error.code, `${which} is damaged: ${error.message}`, {
      cause: error,
      hint: 'Restore a checkpoint before it, or heal it: fitdoc copy --heal from a good copy.',
      details: { ...error.details, ...(one && { key: first.key, id: first.id }) },
    });
  };
}
