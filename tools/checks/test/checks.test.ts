import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCheck } from '../src/check.js';
import { formatting, layers, unused } from '../src/checks.js';
import { publishing } from '../src/publishing.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-checks-'));
  await symlink(path.resolve(import.meta.dirname, '../../../node_modules'), path.join(root, 'node_modules'));
  await write('package.json', { name: 'house', private: true, type: 'module', workspaces: ['packages/*'] });
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(file: string, content: string | object): Promise<void> {
  await mkdir(path.dirname(path.join(root, file)), { recursive: true });
  const text = typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`;
  await writeFile(path.join(root, file), text);
}

const manifest = {
  name: '@fitdoc/bitmap',
  version: '1.0.0',
  license: 'Apache-2.0',
  type: 'module',
  exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
  files: ['dist'],
};

async function goodPackage(): Promise<void> {
  await write('packages/bitmap/package.json', manifest);
  await write('packages/bitmap/README.md', '# bitmap\n');
  await write('packages/bitmap/dist/index.js', 'export const one = 1;\n');
  await write('packages/bitmap/dist/index.d.ts', 'export declare const one: number;\n');
}

test('a check that throws has failed, in one line', async () => {
  const broken = { name: 'broken', run: () => Promise.reject(new Error('no disk')) };
  const result = await runCheck(broken, root);
  expect(result).toMatchObject({ ok: false, problems: ['no disk'] });
  expect(result.line).toMatch(/^FAIL {2}broken +did not finish, 1 to fix/);
  expect(result.line).not.toContain('\n');
});

describe('layers', () => {
  test('pass where there is nothing to find', async () => {
    await goodPackage();
    expect(await runCheck(layers, root)).toMatchObject({ ok: true });
  });
  test('fail on an import that points up', async () => {
    await goodPackage();
    await write('packages/bitmap/src/index.ts', "import '@fitdoc/engine';\n");
    expect(await runCheck(layers, root)).toMatchObject({ ok: false });
  });
  test('fail where there are no packages', async () => {
    expect(await runCheck(layers, root)).toMatchObject({ ok: false });
  });
});

describe('formatting', () => {
  test('passes on a formatted tree', async () => {
    expect(await runCheck(formatting, root)).toMatchObject({ ok: true });
  });
  test('fails on another, and names the file', async () => {
    await write('crooked.ts', 'const  a = 1');
    const { ok, problems } = await runCheck(formatting, root);
    expect({ ok, problems }).toEqual({ ok: false, problems: [expect.stringContaining('crooked.ts')] });
  });
  test('fails on what cannot be parsed', async () => {
    await write('broken.ts', 'const = ;');
    expect(await runCheck(formatting, root)).toMatchObject({ ok: false });
  });
});

test('knip fails on a dependency that is not declared', async () => {
  await write('index.js', "import 'nothing-declares-this';\n");
  const { ok, problems } = await runCheck(unused, root);
  expect(ok).toBe(false);
  expect(problems.join('\n')).toContain('nothing-declares-this');
});

describe('packages', { timeout: 90_000 }, () => {
  test('pass when everything that is promised is published', async () => {
    await goodPackage();
    expect(await runCheck(publishing, root)).toMatchObject({ ok: true, problems: [] });
  });
  test('fail when one is not built', async () => {
    await goodPackage();
    await rm(path.join(root, 'packages/bitmap/dist'), { recursive: true });
    expect((await runCheck(publishing, root)).problems).toEqual([expect.stringContaining('is not built')]);
  });
  test('fail when an export is not published', async () => {
    await goodPackage();
    const exports = { ...manifest.exports, './more': './dist/more.js' };
    await write('packages/bitmap/package.json', { ...manifest, exports });
    const { problems } = await runCheck(publishing, root);
    expect(problems).toContainEqual(expect.stringContaining('./dist/more.js'));
  });
  test('fail when types cannot be resolved', async () => {
    await goodPackage();
    await write('packages/bitmap/dist/index.d.ts', "export * from './one';\n");
    const { problems } = await runCheck(publishing, root);
    expect(problems).toContainEqual(expect.stringContaining('its types do not resolve'));
  });
  test('fail without a README', async () => {
    await goodPackage();
    await rm(path.join(root, 'packages/bitmap/README.md'));
    expect((await runCheck(publishing, root)).problems).toEqual([expect.stringContaining('README.md')]);
  });
});
