/**
 * A compression method for the columns of a batch, loaded by name in every worker.
 *
 * An instance is synchronous and used by one thread at a time.
 */
export interface Compressor {
  readonly specificationVersion: 'compressor-v1';
  /** Name in options and in stored batches: lower-case letters, digits and dashes, at most 16 bytes. */
  readonly name: string;
  /**
   * Compresses `input`. Requires nothing of it (it may be empty or lie in shared memory); the result is
   * owned by the caller. A level outside the method's range is clamped.
   */
  compress(input: Uint8Array, level: number): Uint8Array;
  /**
   * Gives back exactly `rawLength` bytes.
   * On failure (damage, another length): throws CODEC_DAMAGED, having allocated no more than `rawLength`
   * bytes and a constant.
   */
  decompress(input: Uint8Array, rawLength: number): Uint8Array;
}

/** What a module that provides a compressor exports as `createCompressor`. */
export type CreateCompressor = () => Compressor | Promise<Compressor>;
