import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// The pool finds its workers beside itself in dist, whatever room they have in src.
const entry = {
  index: 'src/index.ts',
  worker: 'src/workers/worker.ts',
  'low-worker': 'src/workers/low-worker.ts',
};
export default defineConfig(library({ entry }));
