import type { Compressor } from '@fitdoc/interface';
import type { Scratch } from './scratch.js';
import type { ShuffleChoice } from './types.js';

/** How one codec encodes. */
export interface EncodeSettings {
  readonly compressor: Compressor;
  readonly level: number;
  /** The level for the column of whole pages. */
  readonly pagesLevel: number;
  readonly shuffle: ShuffleChoice;
  readonly scratch: Scratch;
}
