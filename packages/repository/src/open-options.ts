import type { BatchCodec } from '@fitdoc/format';
import type { CallOptions } from '@fitdoc/interface';

export interface OpenCheckpointOptions extends CallOptions {
  readonly codec?: BatchCodec;
  /** How much is verified of what is read; see the format's OpenOptions. Default: checksums. */
  readonly integrity?: 'checksum' | 'hash';
}
