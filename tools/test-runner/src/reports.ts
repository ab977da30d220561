import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { glob } from './workspaces.js';

export interface SuiteCount {
  readonly suite: string;
  /** Its workspace. */
  readonly folder: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Titles of what did not run; a gated suite's title says why. */
  readonly skips: readonly string[];
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly title: string;
  /** The test file; undefined where none can be named. */
  readonly file?: string;
  /** What the runner said, without colours, one line each. */
  readonly lines: readonly string[];
}

/** Lines of a failure's message that are kept: what was expected, what came, and where. */
const MESSAGE_LINES = 12;

interface VitestReport {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numFailedTestSuites: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** Reads the runners' own reports. A workspace whose test script left none counts as one failure. */
export async function readReports(root: string): Promise<SuiteCount[]> {
  const counts: SuiteCount[] = [];
  for (const folder of await glob(root)) {
    const manifest = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
      name: string;
      scripts?: Record<string, string>;
    };
    if (!manifest.scripts?.['test']) continue;
    counts.push(await readReport(manifest.name, folder));
  }
  return counts;
}

/** Where a workspace's runner leaves its report. */
export const reportOf = (folder: string) => path.join(folder, '.reports', 'vitest.json');

/** The report of one workspace's last run. */
export async function readReport(suite: string, folder: string): Promise<SuiteCount> {
  let report: VitestReport;
  try {
    report = JSON.parse(await readFile(reportOf(folder), 'utf8')) as VitestReport;
  } catch {
    const failures = [failure('no test report was written')];
    return { suite, folder, passed: 0, failed: 1, skipped: 0, skips: [], failures };
  }
  const tests = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map((each) => ({ ...each, file: name })),
  );
  const skips = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  const failures = tests
    .filter(({ status }) => status === 'failed')
    .map(({ fullName, failureMessages, file }) => failure(fullName, failureMessages?.join('\n'), file));
  // A file that fails to load, or a hook that throws, has no failed test of its own.
  for (const result of report.testResults) {
    const counted = result.assertionResults.some(({ status }) => status === 'failed');
    if (result.status === 'failed' && !counted)
      failures.push(failure(`${path.basename(result.name)} did not run`, result.message, result.name));
  }
  if (!report.success && failures.length === 0) failures.push(failure('the run failed outside its tests'));
  return {
    suite,
    folder,
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: skips.length,
    skips: [...new Set(skips.map(({ fullName }) => fullName))],
    failures,
  };
}

function failure(title: string, message = '', file?: string): Failure {
  const lines = stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.includes('node_modules'));
  return { title, ...(file !== undefined && { file }), lines: lines.slice(0, MESSAGE_LINES) };
}
