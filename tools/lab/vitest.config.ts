import { testConfig } from '../../vitest.base.js';

export default testConfig({ testTimeout: 120_000, hookTimeout: 300_000 });
