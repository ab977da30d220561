import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkLayers } from '../src/check.js';
import { layerOf, layers } from '../src/layers.js';
import { readPackages } from '../src/workspace.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-layers-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

interface Parts {
  readonly dependencies?: readonly string[];
  readonly devDependencies?: readonly string[];
  readonly exports?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

/** Writes a package whose source imports all of its dependencies, as a good one would. */
async function write(name: string, parts: Parts = {}): Promise<void> {
  const directory = path.join(root, name === 'cli' || name === 'daemon' ? 'apps' : 'packages', name);
  const versions = (names: readonly string[] = []) =>
    Object.fromEntries(names.map((each) => [`@fitdoc/${each}`, '1.0.0']));
  const manifest = {
    name: `@fitdoc/${name}`,
    exports: Object.fromEntries((parts.exports ?? ['.']).map((subpath) => [subpath, './dist/index.js'])),
    dependencies: versions(parts.dependencies),
    devDependencies: versions(parts.devDependencies),
  };
  const imports = (parts.dependencies ?? []).map((each, i) => `import * as m${i} from '@fitdoc/${each}';`);
  const files = {
    'src/index.ts': imports.join('\n'),
    ...parts.files,
    'package.json': JSON.stringify(manifest),
  };
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.join(directory, path.dirname(file)), { recursive: true });
    await writeFile(path.join(directory, file), text);
  }
}

async function check(): Promise<string[]> {
  return checkLayers(await readPackages(root));
}

test('a good house has no violations', async () => {
  await write('interface');
  await write('bitmap', {
    dependencies: ['interface'],
    files: { 'src/a.ts': "import './b.js'; import 'node:fs';" },
  });
  await write('diff', { dependencies: ['interface', 'bitmap'] });
  await write('codec', { dependencies: ['interface'], devDependencies: ['compliance'] });
  await write('format', { dependencies: ['interface', 'codec', 'diff'] });
  await write('repository', { dependencies: ['interface', 'format'], devDependencies: ['store-fs'] });
  await write('engine', {
    dependencies: ['interface', 'repository', 'diff'],
    devDependencies: ['hypervisor-mock'],
  });
  await write('compliance', { dependencies: ['interface'], exports: ['.', './store'] });
  await write('store-fs', {
    dependencies: ['interface'],
    devDependencies: ['compliance'],
    files: { 'test/suite.test.ts': "import { storeSuite } from '@fitdoc/compliance/store';" },
  });
  await write('hypervisor-mock', { dependencies: ['interface', 'bitmap'] });
  await write('adapters', { dependencies: ['interface', 'store-fs', 'hypervisor-mock'] });
  await write('cli', { dependencies: ['engine', 'adapters', 'repository', 'format'] });
  expect(await check()).toEqual([]);
});

describe('fails on', () => {
  test.each<[string, string, string]>([
    ['an import up', 'bitmap', 'engine'],
    ['an import up among mechanisms', 'diff', 'codec'],
    ['the contract on a mechanism', 'interface', 'bitmap'],
    ['an adapter on another', 'store-fs', 'store-memory'],
    ['an adapter on core', 'hypervisor-kvm', 'engine'],
    ['an adapter on the repository', 'store-s3', 'repository'],
    ['core on an adapter', 'engine', 'store-fs'],
    ['core on wiring', 'repository', 'adapters'],
    ['the suites on a mechanism', 'compliance', 'codec'],
    ['an app on an adapter', 'cli', 'store-fs'],
    ['an app on another', 'cli', 'daemon'],
    ['a library on the suites', 'codec', 'compliance'],
    ['a package on a tool', 'engine', 'lab'],
  ])('%s', async (_, from, to) => {
    await write(to);
    await write(from, { dependencies: [to] });
    const violations = await check();
    expect(violations).toContainEqual(expect.stringContaining(`${from} depends on ${to}`));
    expect(violations).toContainEqual(expect.stringContaining(`${from}/src/index.ts imports ${to}`));
  });

  test.each([
    ["import type { A } from '@fitdoc/engine';"],
    ["export * from '@fitdoc/engine';"],
    ["const engine = await import('@fitdoc/engine');"],
  ])('an import that only the source has: %s', async (text) => {
    await write('engine');
    await write('format', { files: { 'src/deep/inside.ts': text } });
    const violations = await check();
    expect(violations).toEqual([
      'format/src/deep/inside.ts imports engine: format may not import engine',
      'format/src/deep/inside.ts imports engine, which is not in its dependencies',
    ]);
  });

  test('a dependency that only tests may have, imported by the source', async () => {
    await write('interface');
    await write('bitmap', {
      devDependencies: ['interface'],
      files: { 'src/index.ts': "import '@fitdoc/interface';" },
    });
    expect(await check()).toEqual([
      'bitmap/src/index.ts imports interface, which is not in its dependencies',
    ]);
  });

  test('the way into another package by its files', async () => {
    await write('interface', { files: { 'src/errors.ts': '' } });
    await write('bitmap', { files: { 'src/index.ts': "import '../../interface/src/errors.js';" } });
    expect(await check()).toEqual([expect.stringContaining('by their names only')]);
  });

  test('a subpath that is not exported', async () => {
    await write('interface');
    await write('bitmap', {
      dependencies: ['interface'],
      files: { 'src/a.ts': "import '@fitdoc/interface/dist/x.js';" },
    });
    expect(await check()).toEqual([expect.stringContaining('imports ./dist/x.js of interface')]);
  });

  test.each(['node:fs', 'fs', 'node:buffer'])('%s in the contract', async (module) => {
    await write('interface', { files: { 'src/index.ts': `import '${module}';` } });
    expect(await check()).toEqual([expect.stringContaining('has to run where Node is not')]);
  });

  test('a package that no layer names', async () => {
    await write('attic');
    expect(await check()).toEqual([expect.stringContaining('attic is in no layer')]);
  });

  test('a test that uses what is not declared, or an app', async () => {
    await write('cli');
    await write('bitmap', { files: { 'test/a.test.ts': "import '@fitdoc/cli';" } });
    expect(await check()).toEqual([
      'bitmap/test/a.test.ts imports cli, which is not in its devDependencies',
      expect.stringContaining('only an app may test with an app'),
    ]);
  });

  test('packages in a circle, through their tests', async () => {
    await write('interface');
    await write('compliance', { dependencies: ['interface'], devDependencies: ['store-fs'] });
    await write('store-fs', { dependencies: ['interface'], devDependencies: ['compliance'] });
    expect(await check()).toEqual(['packages in a circle: compliance -> store-fs -> compliance']);
  });

  test('files in a circle, through a type', async () => {
    await write('interface', {
      files: {
        'src/index.ts': "export * from './a.js';",
        'src/a.ts': "import type { B } from './room/b.js';",
        'src/room/b.ts': "export type { A } from '../a.js';",
      },
    });
    expect(await check()).toEqual(['files of interface in a circle: src/a.ts -> src/room/b.ts -> src/a.ts']);
  });
});

test('every layer that a layer may import exists, and stands before it', () => {
  layers.forEach((layer, index) => {
    const before = layers.slice(0, index).map(({ name }) => name);
    expect(before).toEqual(expect.arrayContaining([...layer.mayImport]));
  });
  expect(layerOf('store-decorators')?.name).toBe('decorators');
  expect(layerOf('store-anything')?.name).toBe('adapter');
});
