import path from 'node:path';
import { expect, test } from 'vitest';
import { readSupported, summarize } from '../src/versions.js';

const report = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 1, testResults: [] };

test('a run counts its tests', () => {
  expect(summarize('bitmap', report, undefined)).toEqual({ passed: 3, skipped: 1, failures: [] });
});

test('a failed test is a failure, and names its file', () => {
  const testResults = [{ name: '/a/scan.test.ts', status: 'failed', message: 'expected 1' }];
  const { failures } = summarize('bitmap', { ...report, testResults }, 'exit code 1');
  expect(failures).toEqual(['bitmap/scan.test.ts expected 1']);
});

test('a run that ends badly with all tests passed is a failure', () => {
  expect(summarize('bitmap', report, 'killed').failures).toEqual(['bitmap: killed']);
});

test('a run without tests is a failure', () => {
  expect(summarize('bitmap', { ...report, numPassedTests: 0 }, undefined).failures).toEqual([
    'bitmap: no test ran',
  ]);
});

test('the oldest version is the one that package.json promises', () => {
  expect(readSupported(path.resolve(import.meta.dirname, '../../..'))).toBe(20);
});
