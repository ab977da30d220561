import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { again } from '../src/again.js';
import { readReport, type SuiteCount } from '../src/reports.js';
import { runStep } from '../src/step.js';

const CONFIG = `export default { test: { reporters: [['json', { outputFile: '.reports/vitest.json' }]] } };`;
/** Fails the first time that it is run. */
const UNSTEADY = `
import { existsSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
it('comes and goes', () => {
  const before = existsSync('was-here');
  writeFileSync('was-here', '');
  expect(before).toBe(true);
});`;
const BROKEN = `
import { expect, it } from 'vitest';
it('is broken', () => expect(1).toBe(2));`;
const RIGHT = `
import { expect, it } from 'vitest';
import { appendFileSync } from 'node:fs';
it('is right', () => appendFileSync('runs', 'x'));`;

let root: string;
beforeEach(async () => {
  // Within this workspace, so that the runner is found.
  await mkdir(path.join(import.meta.dirname, '../tmp'), { recursive: true });
  root = await mkdtemp(path.join(import.meta.dirname, '../tmp/r-'));
});
afterEach(() => rm(root, { recursive: true }));

async function firstRun(files: Readonly<Record<string, string>>): Promise<SuiteCount> {
  await writeFile(path.join(root, 'vitest.config.js'), CONFIG);
  // Without it npx would go up to this workspace, and run this very test.
  await writeFile(path.join(root, 'package.json'), '{ "type": "module" }');
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(root, `${name}.test.js`), text);
  await runStep(root, 'test', ['npx', 'vitest', 'run']);
  return await readReport('suite', root);
}

describe('what failed', () => {
  it('and passes alone is named; only its file is run', async () => {
    const first = await firstRun({ unsteady: UNSTEADY, right: RIGHT });
    expect(first).toMatchObject({ passed: 1, failed: 1 });
    expect(await again(root, [first])).toMatchObject([
      { suite: 'suite', failure: { title: 'comes and goes' } },
    ]);
    expect(await readFile(path.join(root, 'runs'), 'utf8')).toBe('x');
  });

  it('twice is not unsteady', async () => {
    expect(await again(root, [await firstRun({ broken: BROKEN, right: RIGHT })])).toEqual([]);
  });

  it('in many tests at once is not run again', async () => {
    const many = Object.fromEntries(Array.from({ length: 7 }, (_, at) => [`broken-${at}`, BROKEN]));
    expect(await again(root, [await firstRun(many)])).toEqual([]);
    expect(existsSync(path.join(root, '.reports', 'suite-once-more.log'))).toBe(false);
  });
});
