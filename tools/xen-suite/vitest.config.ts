import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { testConfig } from '../../vitest.base.js';

/** By name: the file after which the shared guest is gone comes late. */
class ByName extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.sort((a, b) => a.moduleId.localeCompare(b.moduleId));
  }
}

// One Xen for all files, one file at a time: it has one processor. A step may take minutes on a busy machine.
export default testConfig({
  globalSetup: ['test/support/xen-setup.ts'],
  fileParallelism: false,
  sequence: { sequencer: ByName },
  testTimeout: 900_000,
  hookTimeout: 300_000,
});
