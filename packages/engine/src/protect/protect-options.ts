import type { PauseBudget, Quiesce } from '@fitdoc/interface';
import type { Writer } from '@fitdoc/repository';
import type { ProtectionEvent } from './events.js';
import type { PauseHook } from './pause-hook.js';

export interface ProtectOptions {
  /** `zstd` (default), `lz4`, `none`. */
  readonly compressor?: string;
  readonly level?: number;
  /** Most increments that rebuilding any page may need. Default 32. */
  readonly maxIncrements?: number;
  /** Most words that rebuilding a page may replay, in pages' worth, before it is written whole. Default 4. */
  readonly maxReplayPages?: number;
  /**
   * What a chain of this machine that the repository holds is used for. `auto` (default): go on with its
   * latest checkpoint; when that cannot be read, say so and start over. `required`: fail instead. `never`:
   * start over with a new base.
   */
  readonly resume?: 'auto' | 'required' | 'never';
  /**
   * Who writes the chain, as others are told that want to: no two guests may write one. Default: the machine's name and
   * this package's.
   */
  readonly writer?: Writer;
  /** Go on with this checkpoint instead of the latest: its next one becomes a fork. An id or other name. */
  readonly from?: string;
  /**
   * Milliseconds between two looks at whether the objects are still there that the next checkpoint builds on.
   * Default 60 000.
   */
  readonly watchChainMs?: number;
  /** Pages that the image's staging area may hold before pages are compared inside the capture. */
  readonly stagingPages?: number;
  /** For checkpoints that are asked for without one; see TakeOptions. */
  readonly pauseBudget?: PauseBudget;
  /** Runs in the pause of each checkpoint; CAPABILITY_MISSING where the machine's adapter cannot. */
  readonly pauseHook?: PauseHook;
  /** Freezes the guest's file systems for each checkpoint; CAPABILITY_MISSING where the machine's adapter cannot. */
  readonly quiesce?: Quiesce;
  readonly onEvent?: (event: ProtectionEvent) => void;
}
