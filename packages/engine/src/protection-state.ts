import type { DeviceState, Machine } from '@fitdoc/interface';
import type { MemoryImage } from '@fitdoc/diff';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import type { ChainDepth } from './chain-depth.js';
import type { WorkerPool } from './pool.js';
import type { EncodeSettings } from './tasks.js';

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
  readonly depth: ChainDepth;
  readonly settings: EncodeSettings;
  /** Undefined until the base is stored. */
  head: ChainHead | undefined;
  /** The next capture must place every page. */
  fullNext: boolean;
  /** The number that the next checkpoint gets. */
  nextSequence: number;
  /** Goes into every header as the writer's name and version. */
  readonly tool: string;
}
