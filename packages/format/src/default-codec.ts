import { createCodec } from '@fitdoc/codec';
import type { BatchCodec } from './types.js';

let shared: Promise<BatchCodec> | undefined;

/** The given codec, or one with default options that is made once and shared: a codec keeps no state. */
export async function codecOr(codec: BatchCodec | undefined): Promise<BatchCodec> {
  if (codec) return codec;
  shared ??= createCodec();
  return shared;
}
