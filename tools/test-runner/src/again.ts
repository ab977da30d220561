import { rm } from 'node:fs/promises';
import { runStep } from './step.js';
import { readReport, reportOf, type Failure, type SuiteCount } from './reports.js';

/** So many failures are worth a second look; more are no matter of chance. */
const MOST_FAILURES = 6;

/** A failure of a suite. */
export interface Unsteady {
  readonly suite: string;
  readonly failure: Failure;
}

/**
 * Runs the files of a few failed tests once more, each suite alone, and gives what passes then: whoever looks for the
 * fault knows that it comes and goes. It has failed all the same: what fails beside others is a fault of the test or of
 * what it tests.
 */
export async function again(root: string, suites: readonly SuiteCount[]): Promise<Unsteady[]> {
  const failed = suites.filter((suite) => suite.failed > 0);
  const count = failed.reduce((sum, { failures }) => sum + failures.length, 0);
  if (count > MOST_FAILURES) return [];
  const unsteady: Unsteady[] = [];
  for (const suite of failed) {
    const second = await runAlone(root, suite);
    for (const failure of suite.failures) {
      const twice = second.failures.some(({ title }) => title === failure.title);
      if (!twice) unsteady.push({ suite: suite.suite, failure });
    }
  }
  return unsteady;
}

async function runAlone(root: string, { suite, folder, failures }: SuiteCount): Promise<SuiteCount> {
  // What failed outside of all tests may be of any file.
  const named = failures.map(({ file }) => file);
  const files = named.includes(undefined) ? [] : [...new Set(named as string[])];
  await rm(reportOf(folder), { force: true });
  await runStep(root, `${suite} once more`, ['npx', 'vitest', 'run', ...files], folder);
  return await readReport(suite, folder);
}
