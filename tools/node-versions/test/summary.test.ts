import path from 'node:path';
import { expect, test } from 'vitest';
import { readSupported, summarize } from '../src/versions.js';

function report(failures: number, tests = 4): string {
  return `<testsuites name="vitest tests" tests="${tests}" failures="${failures}" errors="0">
    <testsuite name="test/scan.test.ts" tests="${tests}" failures="${failures}" errors="0" skipped="1" time="1">
    </testsuite>
</testsuites>`;
}

test('a run counts its tests', () => {
  expect(summarize('bitmap', report(0), undefined)).toEqual({ passed: 3, skipped: 1, failures: [] });
});

test('a failed test is a failure, and names its file', () => {
  const { failures, passed } = summarize('bitmap', report(1), 'exit code 1');
  expect({ failures, passed }).toEqual({ failures: ['bitmap/test/scan.test.ts failed'], passed: 2 });
});

test('a run that ends badly with all tests passed is a failure', () => {
  expect(summarize('bitmap', report(0), 'killed').failures).toEqual(['bitmap: killed']);
});

test('a run without tests is a failure', () => {
  for (const empty of [report(0, 1), '<testsuites tests="0"></testsuites>']) {
    expect(summarize('bitmap', empty, undefined).failures).toEqual(['bitmap: no test ran']);
  }
});

test('the oldest version is the one that package.json promises', () => {
  expect(readSupported(path.resolve(import.meta.dirname, '../../..'))).toBe(20);
});
