import type { Options } from 'tsup';

/** The one way a package of this repository is bundled: ESM with types, for Node 20 and later. */
export function library(overrides: Options = {}): Options {
  return {
    entry: ['src/index.ts'],
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    splitting: true,
    sourcemap: true,
    clean: true,
    // TypeScript 6 deprecates the baseUrl that tsup sets for its declaration build.
    dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
    ...overrides,
  };
}
