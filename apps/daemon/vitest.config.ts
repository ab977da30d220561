import { testConfig } from '../../vitest.base.js';

// Tests that start daemons wait for processes more than they compute: three at a time keep two cores busy.
export default testConfig({ maxConcurrency: 3 });
