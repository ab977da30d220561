import { testConfig } from '../../vitest.base.js';

// Real QEMUs on few cores: one file at a time, so that no test's guest slows another's down.
export default testConfig({ fileParallelism: false });
