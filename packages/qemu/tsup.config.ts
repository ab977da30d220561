import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// Beside the library: the guard is a program of its own, the reader a thread's.
export default defineConfig(
  library({
    // Vitest, which takes a linked package for a source, finds `timers/promises` by its full name only.
    removeNodeProtocol: false,
    entry: { index: 'src/index.ts', guard: 'src/guard/program.ts', reader: 'src/reader/program.ts' },
  }),
);
