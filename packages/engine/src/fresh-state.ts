import { totalPages, type Machine } from '@fitdoc/interface';
import { MemoryImage } from '@fitdoc/diff';
import type { Repository } from '@fitdoc/repository';
import { ChainDepth } from './chain-depth.js';
import type { WorkerPool } from './pool.js';
import type { ProtectOptions } from './protect-options.js';
import type { ProtectionState } from './protection-state.js';
import { TOOL } from './tool.js';

interface StateContext {
  readonly pool: WorkerPool;
  readonly machine: Machine;
  readonly repository: Repository;
}

/** A machine's protection before anything is stored: an image of zeros. */
export function freshState(context: StateContext, options: ProtectOptions): ProtectionState {
  const { pool, machine, repository } = context;
  const pages = totalPages(machine.info.regions);
  return {
    machine,
    repository,
    pool,
    image: MemoryImage.create({
      pages,
      ...(options.stagingPages !== undefined && { stagingPages: options.stagingPages }),
    }),
    depth: new ChainDepth({
      pages,
      maxIncrements: options.maxIncrements ?? 32,
      maxReplayPages: options.maxReplayPages ?? 4,
    }),
    settings: {
      compressor: options.compressor ?? 'zstd',
      ...(options.level !== undefined && { level: options.level }),
    },
    head: undefined,
    fullNext: false,
    nextSequence: 0,
    tool: TOOL,
  };
}
