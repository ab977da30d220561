import { isFitdocError } from '@fitdoc/interface';
import { stateOf, type CheckpointEntry } from '@fitdoc/repository';
import type { ProtectionState } from './protection-state.js';

/**
 * What a machine that took its identity over from another guest goes on from: its own latest checkpoint, or the state
 * that it began as. What the other stored until it was told is passed over. Undefined for all other machines, and where
 * that state is gone.
 */
export async function ownLatest(
  { machine, repository }: ProtectionState,
  entries: readonly CheckpointEntry[],
): Promise<CheckpointEntry | undefined> {
  const { id, origin } = machine.info;
  if (origin?.machine !== id) return undefined;
  const beginning = entries.find((entry) => stateOf(entry) === origin.state);
  if (!beginning) return undefined;
  const later = entries.filter(({ sequence }) => sequence > beginning.sequence);
  for (const entry of later.sort((one, other) => other.sequence - one.sequence)) {
    const reader = await repository.openCheckpoint(entry).catch(passOver);
    if (reader?.header.machine.origin?.state === origin.state) return entry;
  }
  return beginning;
}

/** What is damaged, or was removed meanwhile, is nobody's to go on from. */
function passOver(error: unknown): undefined {
  if (isFitdocError(error) && /^(FORMAT|CODEC|REPOSITORY_DAMAGED|STORE_NOT_FOUND)/.test(error.code))
    return undefined;
  throw error;
}
