import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkLayers } from '../../check-layers/src/check.js';
import { readPackages } from '../../check-layers/src/workspace.js';
import { KINDS, parseNames } from '../src/names.js';
import { nextSteps, stamp } from '../src/stamp.js';

const repository = path.resolve(import.meta.dirname, '../../..');
let root: string;

/** A tree that has what a package of this repository needs, and two of its packages. */
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-new-package-'));
  await mkdir(path.join(root, 'packages'));
  for (const shared of ['node_modules', 'tools', 'packages/interface', 'packages/compliance']) {
    await symlink(path.join(repository, shared), path.join(root, shared));
  }
  for (const file of [
    'tsconfig.base.json',
    'tsup.base.ts',
    'vitest.base.ts',
    'eslint.config.js',
    '.prettierrc.json',
  ]) {
    await cp(path.join(repository, file), path.join(root, file));
  }
  await writeFile(path.join(root, 'package.json'), '{"type":"module","private":true}');
});
afterEach(() => rm(root, { recursive: true, force: true }));

interface Run {
  readonly code: number;
  readonly output: string;
}

async function run(directory: string, script: string, ...args: string[]): Promise<Run> {
  const file = path.join(repository, 'node_modules', script);
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, ...args], {
      cwd: directory,
    });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

async function suite(directory: string): Promise<{ code: number; passed: number; failed: number }> {
  const { code } = await run(directory, 'vitest/vitest.mjs', 'run', 'test/suite.test.ts');
  const report = JSON.parse(await readFile(path.join(directory, '.reports/vitest.json'), 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
  };
  return { code, passed: report.numPassedTests, failed: report.numFailedTests };
}

describe.each(KINDS)('a new %s package', (kind) => {
  const names = parseNames(kind, 'far-away');
  const folder = (): string => path.join(root, 'packages', names.folder);

  test('is typed, formatted, in its layer, and has a suite that fails', { timeout: 120_000 }, async () => {
    const files = await stamp(root, names);
    expect(files).toContain(`packages/${names.folder}/test/suite.test.ts`);
    expect(files).toContain(`.changeset/${names.folder}.md`);
    expect(await run(folder(), 'typescript/bin/tsc', '-p', '.')).toEqual({ code: 0, output: '' });
    const formatting = await run(root, 'prettier/bin/prettier.cjs', '--check', ...files);
    expect(formatting).toMatchObject({ code: 0 });
    expect(checkLayers(await readPackages(root)).filter((each) => each.includes(names.folder))).toEqual([]);
    const { code, failed } = await suite(folder());
    expect(code).not.toBe(0);
    expect(failed).toBeGreaterThan(5);
  });

  test('is told how to go on', () => {
    expect(nextSteps(names)).toContain(`packages/${names.folder}`);
    expect(nextSteps(names)).toContain('npx vitest run');
  });
});

test('the suite of a store passes once there is a store', { timeout: 120_000 }, async () => {
  const names = parseNames('store', 'borrowed');
  await stamp(root, names);
  const folder = path.join(root, 'packages', names.folder);
  await writeFile(
    path.join(folder, 'src/index.ts'),
    "export { storeFactory } from '@fitdoc/store-memory';\n",
  );
  const { code, passed, failed } = await suite(folder);
  expect({ code, failed }).toEqual({ code: 0, failed: 0 });
  expect(passed).toBeGreaterThan(5);
});

test('a package is never stamped over another', async () => {
  await stamp(root, parseNames('store', 'twice'));
  await expect(stamp(root, parseNames('store', 'twice'))).rejects.toThrow('is there already');
});

test.each<[string | undefined, string | undefined]>([
  ['shop', 'a'],
  [undefined, undefined],
  ['store', undefined],
  ['store', 'Upper'],
  ['store', '../up'],
  ['store', '-a'],
  ['store', 'a--b'],
  ['store', 'a-name-that-is-too-long'],
])('%s %s is refused', (kind, name) => {
  expect(() => parseNames(kind, name)).toThrow();
});
