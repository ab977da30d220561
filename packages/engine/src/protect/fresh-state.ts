import { totalPages, type Machine } from '@fitdoc/interface';
import { MemoryImage } from '@fitdoc/diff';
import type { Repository } from '@fitdoc/repository';
import type { ImageMemory } from '../memory/image-memory.js';
import { ChainDepth } from './chain-depth.js';
import type { WorkerPool } from '../workers/pool.js';
import type { ProtectOptions } from './protect-options.js';
import type { ProtectionState } from './protection-state.js';
import { TOOL } from '../tool.js';

interface StateContext {
  readonly pool: WorkerPool;
  readonly machine: Machine;
  readonly repository: Repository;
  readonly memory: ImageMemory;
}

/** A machine's protection before anything is stored: an image of zeros. */
export function freshState(context: StateContext, options: ProtectOptions): ProtectionState {
  const { pool, machine, repository, memory } = context;
  const pages = totalPages(machine.info.regions);
  const image = MemoryImage.create({
    pages,
    run: (task) => pool.diff(task),
    ...(options.stagingPages !== undefined && { stagingPages: options.stagingPages }),
  });
  memory.adopt(image);
  return {
    machine,
    repository,
    pool,
    image,
    memory,
    depth: new ChainDepth({
      pages,
      maxIncrements: options.maxIncrements ?? 32,
      maxReplayPages: options.maxReplayPages ?? 4,
    }),
    settings: {
      compressor: options.compressor ?? 'zstd',
      ...(options.level !== undefined && { level: options.level }),
    },
    pauseBudget: options.pauseBudget,
    pauseHook: options.pauseHook,
    quiesce: options.quiesce,
    head: undefined,
    path: [],
    disks: new Map(),
    fullNext: false,
    nextSequence: 0,
    tool: TOOL,
  };
}
