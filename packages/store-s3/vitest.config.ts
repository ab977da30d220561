import { testConfig } from '../../vitest.base.js';

export default testConfig({
  globalSetup: ['test/support/ceph-setup.ts'],
  testTimeout: 60_000,
  hookTimeout: 300_000,
});
