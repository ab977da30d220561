import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface VersionResult {
  readonly ok: boolean;
  /** As Node itself tells it, `v24.1.0`; the major that was asked for when it could not be had. */
  readonly version: string;
  readonly detail: string;
}

/** The oldest major version that package.json promises to run on. */
export function readSupported(root: string): number {
  const { engines } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  return Number(/\d+/.exec(engines.node)?.[0]);
}

/** Runs the packages' tests on a major version of Node, which npx fetches. */
export async function testOn(
  root: string,
  major: number,
  packages: readonly string[],
): Promise<VersionResult> {
  let version: string;
  try {
    version = (await onNode(major, root, ['--version'])).trim();
  } catch (error) {
    return { ok: false, version: String(major), detail: `could not be had: ${message(error)}` };
  }
  if (!version.startsWith(`v${major}.`)) {
    return { ok: false, version, detail: `is not the ${major} that was asked for` };
  }
  const results: SuiteResult[] = [];
  for (const name of packages) results.push(await testPackage(root, major, name));
  return { ok: results.every(({ failures }) => failures.length === 0), version, detail: describe(results) };
}

interface SuiteResult {
  readonly name: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}

async function testPackage(root: string, major: number, name: string): Promise<SuiteResult> {
  const directory = path.join(root, 'packages', name);
  if (!existsSync(path.join(directory, 'test'))) {
    return { name, passed: 0, skipped: 0, failures: [`${name} has no tests`] };
  }
  // Not where the package's own test command reports: that one is for the version that runs everything else.
  const reports = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-node-versions-'));
  const file = path.join(reports, 'report.xml');
  const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
  try {
    const outcome = await onNode(major, directory, [
      vitest,
      'run',
      '--reporter=junit',
      `--outputFile=${file}`,
    ]).then(() => undefined, message);
    return { name, ...summarize(name, await readFile(file, 'utf8'), outcome) };
  } catch (error) {
    return { name, passed: 0, skipped: 0, failures: [`${name}: ${message(error)}`] };
  } finally {
    await rm(reports, { recursive: true, force: true });
  }
}

/**
 * What a JUnit report says. A run that failed without a failed test is a failure too, and so is one without
 * tests.
 */
export function summarize(
  name: string,
  report: string,
  outcome: string | undefined,
): Omit<SuiteResult, 'name'> {
  const suites = [...report.matchAll(/<testsuite ([^>]*)>/g)].map((match) => match[1] ?? '');
  const count = (suite: string, attribute: string): number =>
    Number(new RegExp(`\\b${attribute}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const sum = (attribute: string): number =>
    suites.reduce((total, suite) => total + count(suite, attribute), 0);
  const bad = sum('failures') + sum('errors');
  const passed = sum('tests') - bad - sum('skipped');
  const failures = suites
    .filter((suite) => count(suite, 'failures') + count(suite, 'errors') > 0)
    .map((suite) => `${name}/${/\bname="([^"]*)"/.exec(suite)?.[1] ?? '?'} failed`);
  if (outcome !== undefined && failures.length === 0) failures.push(`${name}: ${outcome}`);
  if (passed === 0 && failures.length === 0) failures.push(`${name}: no test ran`);
  return { passed, skipped: sum('skipped'), failures };
}

function describe(results: readonly SuiteResult[]): string {
  const sum = (of: (result: SuiteResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const counts = results.map(({ name, passed }) => `${name} ${passed}`).join(', ');
  const failures = results.flatMap((result) => result.failures);
  const tail = failures.length > 0 ? `\n      ${failures.join('\n      ')}` : '';
  return `${sum(({ passed }) => passed)} passed, ${sum(({ skipped }) => skipped)} skipped (${counts})${tail}`;
}

async function onNode(major: number, cwd: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run('npx', ['-y', '-p', `node@${major}`, '--', 'node', ...args], {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

function message(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n').slice(0, 4).join(' ');
}
