import type { ProtectionEvent } from './events.js';

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
  /** Go on with this checkpoint instead of the latest: its next one becomes a fork. An id or other name. */
  readonly from?: string;
  /** Pages that the image's staging area may hold before pages are compared inside the capture. */
  readonly stagingPages?: number;
  readonly onEvent?: (event: ProtectionEvent) => void;
}
