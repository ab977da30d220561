import { testConfig } from '../../vitest.base.js';

// Packing, and machines of Debian that are set up and booted.
export default testConfig({ testTimeout: 240_000, hookTimeout: 300_000 });
