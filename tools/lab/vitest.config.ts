import { testConfig } from '../../vitest.base.js';

export default testConfig({ testTimeout: 240_000, hookTimeout: 300_000 });
