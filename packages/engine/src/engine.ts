import { availableParallelism } from 'node:os';
import type { CallOptions, Machine } from '@fitdoc/interface';
import type { Repository } from '@fitdoc/repository';
import { MemoryBudget } from './memory/memory-budget.js';
import { WorkerPool } from './workers/pool.js';
import type { ProtectOptions } from './protect/protect-options.js';
import { Protection } from './protect/protection.js';

export interface EngineOptions {
  /**
   * Worker threads for comparing, encoding and decoding. Default: the cores that this process may use. Merging has one
   * more, and one of lower priority on Linux.
   */
  readonly workers?: number;
  /**
   * Bytes that guests' images may take together, at least 16 MiB and 16 bytes a page for each. Default: what the
   * process's control group, or the system, has left. What has no place in it is in a file without a name on a disk.
   */
  readonly memoryBudget?: number;
  /** The directory of that file, on a disk. Default: TMPDIR, /var/tmp, the system's: the first that is on a disk. */
  readonly coldDirectory?: string;
}

/**
 * Checkpoints and restores machines. One engine serves many machines: they share its workers and its memory
 * budget and nothing else, so that one machine's trouble stays its own.
 */
export class Engine {
  readonly pool: WorkerPool;
  readonly budget: MemoryBudget;
  readonly #coldDirectory: string | undefined;
  readonly #protections = new Set<Protection>();

  constructor(options: EngineOptions = {}) {
    this.pool = new WorkerPool(options.workers ?? availableParallelism());
    this.budget = new MemoryBudget(options.memoryBudget);
    this.#coldDirectory = options.coldDirectory;
  }

  /**
   * Starts to protect an attached machine in a repository. Where the repository has a chain of this machine
   * its last image is loaded first, so that the next checkpoint holds only the words that differ.
   * Errors: MEMORY_BUDGET, MACHINE_CONFLICT (another writes this machine's chain), REPOSITORY_*, STORE_*. The machine stays attached whatever happens.
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
        coldDirectory: this.#coldDirectory,
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
