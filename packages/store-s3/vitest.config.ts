import { testConfig } from '../../vitest.base.js';

export default testConfig({
  globalSetup: ['test/support/ceph-setup.ts'],
});
