import { availableParallelism } from 'node:os';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { testConfig } from '../../vitest.base.js';

/** What takes longest begins first; a file that is not named comes last. */
const LONGEST_FIRST = [
  'hvm',
  'suite',
  'next-release',
  'checkpoints',
  'faults',
  'states',
  'remote',
  'whole-saves',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) =>
      LONGEST_FIRST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`)) + 1 || 99;
    return files.sort((a, b) => place(a) - place(b));
  }
}

/** Each file that runs has a Xen of its own, which has one processor. */
export const WORKERS = process.env['FITDOC_XEN_HOST'] ? 1 : Math.min(2, availableParallelism());

// A step may take minutes on a busy machine.
export default testConfig({
  globalSetup: ['test/support/xen-setup.ts'],
  maxWorkers: WORKERS,
  fileParallelism: WORKERS > 1,
  sequence: { sequencer: LongestFirst },
  testTimeout: 900_000,
  // Longer than a guest may take to boot, whose own words tell more.
  hookTimeout: 450_000,
});
