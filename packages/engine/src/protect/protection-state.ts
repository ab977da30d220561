import type { DeviceState, Machine, PauseBudget, Quiesce } from '@fitdoc/interface';
import type { MemoryImage } from '@fitdoc/diff';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import type { ImageMemory } from '../memory/image-memory.js';
import type { ChainDepth } from './chain-depth.js';
import type { PauseHook } from './pause-hook.js';
import type { KnownDisks } from '../disks/disk-harvest.js';
import type { WorkerPool } from '../workers/pool.js';
import type { EncodeSettings } from '../workers/tasks.js';

/** An object of the chain, as it must still be in the store. */
export type StoredObject = Pick<CheckpointEntry, 'key' | 'bytes'>;

/** Where a machine's chain stands: what the image shows, once its pending changes are left out. */
export interface ChainHead {
  readonly entry: CheckpointEntry;
  readonly deviceState: readonly DeviceState[];
  /** Checkpoints from the base to this one, both included. */
  readonly chainLength: number;
  /** Device state deltas since it was last stored whole. */
  readonly deviceStateDepth: number;
}

/** All that taking a checkpoint needs to know about a protected machine. */
export interface ProtectionState {
  readonly machine: Machine;
  readonly repository: Repository;
  readonly pool: WorkerPool;
  readonly image: MemoryImage;
  readonly memory: ImageMemory;
  readonly depth: ChainDepth;
  readonly settings: EncodeSettings;
  /** For checkpoints that are asked for without one. */
  readonly pauseBudget: PauseBudget | undefined;
  readonly pauseHook: PauseHook | undefined;
  readonly quiesce: Quiesce | undefined;
  /** Undefined until the base is stored. */
  head: ChainHead | undefined;
  /** The objects that the head stands on, base first, its own last, as they were when it was made or loaded. */
  path: StoredObject[];
  /** What the head holds of disks. */
  disks: KnownDisks;
  /** The next capture must place every page. */
  fullNext: boolean;
  /** The number that the next checkpoint gets. */
  nextSequence: number;
  /** Goes into every header as the writer's name and version. */
  readonly tool: string;
}
