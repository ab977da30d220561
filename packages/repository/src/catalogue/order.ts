import { supersededHashes, type CheckpointEntry } from './entry.js';

/**
 * Captured last first, by what the hosts' clocks said: for questions about a time, and for several machines.
 * Among equals the one that takes the place of others, then the higher sequence.
 */
export function newestFirst(one: CheckpointEntry, other: CheckpointEntry): number {
  return (
    other.capturedAtMs - one.capturedAtMs ||
    supersededHashes(other).length - supersededHashes(one).length ||
    lastFirst(one, other)
  );
}

/**
 * The order of one machine's checkpoints, last first, whatever any clock said: a machine counts them, and a
 * writer goes on above all that are there.
 */
export function lastFirst(one: CheckpointEntry, other: CheckpointEntry): number {
  return (
    other.sequence - one.sequence ||
    other.createdAtMs - one.createdAtMs ||
    (one.key < other.key ? 1 : one.key > other.key ? -1 : 0)
  );
}
