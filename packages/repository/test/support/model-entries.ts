import type { CheckpointEntry } from '../../src/index.js';

export interface ModelEntry {
  /** The state's number; its hash is made of it. */
  readonly state: number;
  readonly sequence: number;
  /** The parent state's number; none for a base. */
  readonly parent?: number;
  /** For an object made of others: a number of its own. */
  readonly derived?: number;
  readonly role?: 'shortcut' | 'merged' | 'base';
  readonly bytes?: number;
  readonly capturedAtMs?: number;
  readonly machine?: string;
}

export function hashOf(number: number): string {
  return number.toString(16).padStart(32, '0').padEnd(64, 'e');
}

/** An entry without an object, for what only plans. */
export function modelEntry(model: ModelEntry): CheckpointEntry {
  const { state, sequence, parent, derived } = model;
  const machineId = model.machine ?? 'm1';
  const contentHash = hashOf(state);
  const kind = parent === undefined ? 'base' : 'increment';
  const role = model.role ?? (parent === undefined ? 'base' : 'shortcut');
  const number = String(derived ?? sequence).padStart(10, '0');
  return {
    key: `machines/${machineId}/${derived === undefined ? 'checkpoints' : 'merged'}/${number}-${contentHash.slice(0, 32)}`,
    id: contentHash.slice(0, 32),
    contentHash,
    objectHash: derived === undefined ? contentHash : hashOf(1e9 + derived),
    machineId,
    sequence,
    kind,
    ...(parent === undefined
      ? {}
      : { parentContentHash: hashOf(parent), parentId: hashOf(parent).slice(0, 32) }),
    ...(derived === undefined ? {} : { state: contentHash, role }),
    capturedAtMs: model.capturedAtMs ?? 1_750_000_000_000 + sequence * 1_000,
    createdAtMs: 1_750_000_000_000 + sequence * 1_000,
    bytes: model.bytes ?? 1,
  } as unknown as CheckpointEntry;
}
