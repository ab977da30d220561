import { FitdocError } from '@fitdoc/interface';

/** Where everything lies in the store. */
export const CONFIG_KEY = 'config.json';
export const MACHINES_PREFIX = 'machines/';
export const TAGS_PREFIX = 'tags/';
export const LOCKS_PREFIX = 'locks/';

const MACHINE_ID = /^[A-Za-z0-9._-]{1,64}$/;
const CHECKPOINT_KEY =
  /^machines\/([A-Za-z0-9._-]+)\/(checkpoints|merged)\/(\d{10,16})-(\d{14,16})-([0-9a-f]{12})\.fitdoc$/;

/** What a checkpoint's key tells without reading the object. */
export interface CheckpointKey {
  readonly machineId: string;
  /**
   * Of a captured checkpoint, its sequence. Of a derived one, a number of the key's own, above that of every
   * derived one before it: new keys sort above old ones under either prefix.
   */
  readonly sequence: number;
  readonly createdAtMs: number;
  /** Whether the object was made of others; those have a prefix of their own. Default false. */
  readonly derived?: boolean;
}

/**
 * A machine's id as a segment of a key, which must not start with a dot: ids that start with a dot or an
 * underscore get an underscore in front.
 */
export function machineSegment(machineId: string): string {
  if (!MACHINE_ID.test(machineId)) {
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `Not a machine's id: ${JSON.stringify(machineId.slice(0, 80))}.`,
      {
        hint: 'A machine id has 1 to 64 characters of A-Z a-z 0-9 . _ -',
      },
    );
  }
  return /^[._]/.test(machineId) ? `_${machineId}` : machineId;
}

function machineOfSegment(segment: string): string {
  return segment.startsWith('_') ? segment.slice(1) : segment;
}

/** Where all of a machine's objects are. */
export function machinePrefix(machineId: string): string {
  return `${MACHINES_PREFIX}${machineSegment(machineId)}/`;
}

/** Where a machine's captured checkpoints are. */
export function capturedPrefix(machineId: string): string {
  return `${machinePrefix(machineId)}checkpoints/`;
}

/** Where those are that were made of others. */
export function derivedPrefix(machineId: string): string {
  return `${machinePrefix(machineId)}merged/`;
}

/**
 * The key of a new checkpoint. It sorts by sequence, then by time; the nonce keeps apart checkpoints that two
 * writers make at the same moment. The id is not in it: that is known only when the last byte is written.
 */
export function checkpointKey(key: CheckpointKey, nonce: string): string {
  const sequence = String(key.sequence).padStart(10, '0');
  const created = String(Math.floor(key.createdAtMs)).padStart(14, '0');
  const prefix = key.derived ? derivedPrefix(key.machineId) : capturedPrefix(key.machineId);
  return `${prefix}${sequence}-${created}-${nonce}.fitdoc`;
}

/** The key that the same checkpoint has under another nonce. */
export function anotherKey(key: string, nonce: string): string {
  return key.replace(/[0-9a-f]{12}\.fitdoc$/, `${nonce}.fitdoc`);
}

/** Reads a checkpoint's key, or undefined for the key of anything else. */
export function parseCheckpointKey(key: string): CheckpointKey | undefined {
  const match = CHECKPOINT_KEY.exec(key);
  if (!match) return undefined;
  const [, segment, room, sequence, created] = match;
  return {
    machineId: machineOfSegment(segment!),
    sequence: Number(sequence),
    createdAtMs: Number(created),
    ...(room === 'merged' ? { derived: true } : {}),
  };
}
