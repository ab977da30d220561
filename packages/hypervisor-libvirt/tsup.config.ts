import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// Beside the library: the guard, and the helper in which libvirt's C libraries are, and what asks it one question, are programs of their own.
export default defineConfig(
  library({
    entry: {
      index: 'src/index.ts',
      guard: 'src/attach/guard.ts',
      helper: 'src/helper/program.ts',
      ask: 'src/host/program.ts',
    },
    external: ['koffi'],
    removeNodeProtocol: false,
  }),
);
