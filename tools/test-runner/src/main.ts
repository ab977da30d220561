// Runs everything that must hold: build, lint, types, package checks, every suite. Installs first what the
// suites need beyond npm, where it may. Ends with one line: N passed, N failed, N skipped.
import path from 'node:path';
import { again, type Unsteady } from './again.js';
import { readReports, type Failure, type SuiteCount } from './reports.js';
import { prerequisites } from './prerequisites.js';
import { runStep, type StepResult } from './step.js';
import { clearReports } from './workspaces.js';

const root = path.resolve(import.meta.dirname, '../../..');
const XEN_SUITE = '@fitdoc/xen-suite';
const quick = process.argv.includes('--quick');

async function main(): Promise<number> {
  await clearReports(root);
  const steps: StepResult[] = [];
  const missing = quick
    ? ['what the real-hypervisor suites need (--quick installs nothing)']
    : await prerequisites(root);
  const build = await runStep(root, 'build', ['npx', 'turbo', 'run', 'build', '--output-logs=new-only']);
  steps.push(build);
  if (build.ok) {
    // Each of them leaves a core idle for much of its time.
    const checks = await Promise.all([
      runStep(root, 'lint', ['npm', 'run', '--silent', 'lint']),
      runStep(root, 'typecheck', ['npm', 'run', '--silent', 'typecheck']),
      runStep(root, 'check', ['npm', 'run', '--silent', 'check']),
    ]);
    steps.push(...checks);
    const test = ['npx', 'turbo', 'run', 'test', '--continue', '--concurrency=2'];
    // Emulated machines, one to a core: beside other suites all of them would be slow.
    await runStep(root, 'test on Xen', [...test, `--filter=${XEN_SUITE}`]);
    await runStep(root, 'test', [...test, `--filter=!${XEN_SUITE}`]);
  }
  const suites = build.ok ? await readReports(root) : [];
  return summarize(steps, suites, missing, await again(root, suites));
}

function summarize(
  steps: readonly StepResult[],
  suites: readonly SuiteCount[],
  missing: readonly string[],
  unsteady: readonly Unsteady[],
): number {
  const print = (line: string): boolean => process.stdout.write(`${line}\n`);
  print('');
  for (const { suite, passed, failed, skipped } of suites) {
    print(
      `${suite.padEnd(30)} ${String(passed).padStart(5)} passed ${String(failed).padStart(3)} failed ${String(skipped).padStart(3)} skipped`,
    );
  }
  for (const { suite, skips } of suites) for (const skip of skips) print(`not run ${suite}: ${skip}`);
  for (const each of missing) print(`could not be installed: ${each}`);
  for (const { suite, failure } of unsteady)
    print(told(`UNSTEADY (passed when run alone) ${suite}`, failure));
  // Last, where whoever looks at the end of a long log finds them.
  for (const { suite, failures } of suites) {
    for (const failure of failures) print(told(`FAILED ${suite}`, failure));
  }
  const sum = (of: (suite: SuiteCount) => number): number =>
    suites.reduce((total, suite) => total + of(suite), 0);
  const passed = sum((suite) => suite.passed) + steps.filter(({ ok }) => ok).length;
  const failed = sum((suite) => suite.failed) + steps.filter(({ ok }) => !ok).length;
  print(`${passed} passed, ${failed} failed, ${sum((suite) => suite.skipped)} skipped`);
  return failed === 0 ? 0 : 1;
}

function told(how: string, { title, lines }: Failure): string {
  return [`${how}: ${title}`, ...lines.map((line) => `    ${line}`)].join('\n');
}

process.exitCode = await main();
