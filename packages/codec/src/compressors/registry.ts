import type { Compressor } from '@fitdoc/interface';
import { invalid, unknownCompressor } from '../errors.js';
import { NAME_PATTERN } from '../layout.js';
import { createLz4Compressor } from './lz4.js';
import { createNoneCompressor } from './none.js';
import { createZstdCompressor } from './zstd.js';

/** The compressors that one codec knows, by name. */
export class CompressorRegistry {
  readonly #known = new Map<string, Compressor>();
  readonly #unavailable = new Map<string, unknown>();

  /** Loads the built-in methods; one whose binary is missing on this platform fails only when asked for. */
  static async load(added: readonly Compressor[]): Promise<CompressorRegistry> {
    const registry = new CompressorRegistry();
    const builtIn = [
      ['none', createNoneCompressor],
      ['lz4', createLz4Compressor],
      ['zstd', createZstdCompressor],
    ] as const;
    for (const [name, create] of builtIn) {
      try {
        registry.#known.set(name, await create());
      } catch (error) {
        registry.#unavailable.set(name, error);
      }
    }
    for (const compressor of added) {
      if (!NAME_PATTERN.test(compressor.name))
        throw invalid(`"${compressor.name}" cannot name a compressor.`);
      registry.#known.set(compressor.name, compressor);
    }
    return registry;
  }

  /** The compressor of that name. Throws CODEC_UNKNOWN. */
  get(name: string): Compressor {
    const compressor = this.#known.get(name);
    if (!compressor) throw unknownCompressor(name, this.#unavailable.get(name));
    return compressor;
  }
}
