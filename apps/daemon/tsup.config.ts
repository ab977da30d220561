import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// The dashboard is built into dist/dashboard by its own bundler: a build of the daemon leaves it there.
export default defineConfig(library({ entry: ['src/main.ts'], dts: false, clean: ['!dashboard/**'] }));
