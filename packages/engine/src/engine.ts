import { availableParallelism } from 'node:os';
import type { CallOptions, Machine } from '@fitdoc/interface';
import type { Repository } from '@fitdoc/repository';
import { MemoryBudget } from './memory-budget.js';
import { WorkerPool } from './pool.js';
import type { ProtectOptions } from './protect-options.js';
import { Protection } from './protection.js';

export interface EngineOptions {
  /** Worker threads for comparing, encoding and decoding. Default: the cores that this process may use. */
  readonly workers?: number;
  /** Bytes of guest images that may be held at a time. Default: no limit. */
  readonly memoryBudget?: number;
}

/**
 * Checkpoints and restores machines. One engine serves many machines: they share its workers and its memory
 * budget and nothing else, so that one machine's trouble stays its own.
 */
export class Engine {
  readonly pool: WorkerPool;
  readonly budget: MemoryBudget;
  readonly #protections = new Set<Protection>();

  constructor(options: EngineOptions = {}) {
    this.pool = new WorkerPool(options.workers ?? availableParallelism());
    this.budget = new MemoryBudget(options.memoryBudget ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Starts to protect an attached machine in a repository. Where the repository has a chain of this machine
   * its last image is loaded first, so that the next checkpoint holds only the words that differ.
   * Errors: MEMORY_BUDGET, REPOSITORY_*, STORE_*. The machine stays attached whatever happens.
   */
  async protect(
    machine: Machine,
    repository: Repository,
    options: ProtectOptions & CallOptions = {},
  ): Promise<Protection> {
    const protection = await Protection.start(
      {
        pool: this.pool,
        budget: this.budget,
        machine,
        repository,
        onEnd: (ended) => this.#protections.delete(ended),
      },
      options,
    );
    this.#protections.add(protection);
    return protection;
  }

  /** The protections that were started and not ended. */
  get protections(): readonly Protection[] {
    return [...this.#protections];
  }

  /** Ends every protection, leaving guests running and attached machines attached, and stops the workers. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#protections].map((protection) => protection.end()));
    await this.pool.close();
  }
}

export function createEngine(options: EngineOptions = {}): Engine {
  return new Engine(options);
}
