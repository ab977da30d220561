import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// One entry a suite: each is a subpath export of its own, listed in package.json as well.
export default defineConfig(library({ entry: ['src/{index,store,hypervisor,compressor,crash-fs}.ts'] }));
