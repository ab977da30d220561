import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { compare, type CompareOptions, type Contender, type Timing } from './timing.js';

export interface BenchContext {
  /** Fewer repetitions and smaller inputs: to see that all works, not to quote. */
  readonly quick: boolean;
  /** Tells people on stderr what is going on. */
  log(message: string): void;
  /** Times ways of doing the same against one another: see `compare`. */
  compare(contenders: readonly Contender[], options?: CompareOptions): Promise<Map<string, Timing>>;
  /** An empty directory that is removed when the section ends. */
  temporaryDirectory(): Promise<string>;
}

export interface DisposableContext extends BenchContext {
  dispose(): Promise<void>;
}

export function createContext(quick: boolean): DisposableContext {
  const directories: string[] = [];
  return {
    quick,
    log(message) {
      process.stderr.write(`  ${message}\n`);
    },
    compare(contenders, options = {}) {
      return compare(contenders, { rounds: quick ? 5 : 15, ...options });
    },
    async temporaryDirectory() {
      const directory = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-bench-'));
      directories.push(directory);
      return directory;
    },
    async dispose() {
      for (const directory of directories) await rm(directory, { recursive: true, force: true });
    },
  };
}
