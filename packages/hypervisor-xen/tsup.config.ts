import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// The guard is a program of its own: it outlives the process that it guards against.
export default defineConfig(
  library({ entry: { index: 'src/index.ts', guard: 'src/direct/guard/guard.ts' } }),
);
