import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdapterRegistry, BUILT_IN, hypervisorFor, openStore, type Adapter } from '../src/index.js';

let place: string;
beforeEach(async () => {
  place = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-adapters-'));
});
afterEach(() => rm(place, { recursive: true, force: true }));

const code = (name: string) => expect.objectContaining({ code: name }) as Error;

/** Writes a package to node_modules of the temporary place. */
async function install(name: string, source: string): Promise<void> {
  const directory = path.join(place, 'node_modules', name);
  await mkdir(directory, { recursive: true });
  await writeFile(
    path.join(directory, 'package.json'),
    JSON.stringify({ name, type: 'module', exports: './a.js' }),
  );
  await writeFile(path.join(directory, 'a.js'), source);
}

const store = (scheme: string) =>
  `export const storeFactory = { specificationVersion: 'store-v1', scheme: '${scheme}', open: async (l) => ({ location: l }) };`;

test('every adapter of the table provides the scheme that it is listed for', async () => {
  for (const { kind, scheme, packageName, load } of BUILT_IN) {
    const module = (await load()) as Record<string, { scheme: string; specificationVersion: string }>;
    const value = module[kind === 'store' ? 'storeFactory' : 'hypervisor'];
    expect(value?.scheme, packageName).toBe(scheme);
    expect(value?.specificationVersion).toBe(`${kind}-v1`);
  }
});

test('opens stores and finds hypervisors by scheme', async () => {
  const memory = await openStore('memory:registry-test', { create: true });
  await memory.put('a', Uint8Array.of(1));
  expect(await (await openStore('memory:registry-test')).get('a')).toEqual(Uint8Array.of(1));
  const directory = await openStore(path.join(place, 'store'), { create: true });
  expect(directory.supports.durable).toBe(true);
  await directory.close();
  const { hypervisor, rest } = await hypervisorFor('mock:a?seed=3');
  expect([hypervisor.scheme, rest]).toEqual(['mock', 'a?seed=3']);
});

test('a scheme that nobody has, or that is of the other kind, is LOCATION_UNKNOWN', async () => {
  await expect(openStore('ftp:x')).rejects.toMatchObject({
    code: 'LOCATION_UNKNOWN',
    hint: expect.stringContaining('s3:') as string,
  });
  await expect(openStore('kvm:/x')).rejects.toThrow(code('LOCATION_UNKNOWN'));
  await expect(hypervisorFor('/run/x.sock')).rejects.toMatchObject({
    code: 'LOCATION_UNKNOWN',
    hint: expect.stringContaining('kvm:') as string,
  });
});

test('a scheme belongs to one adapter', () => {
  const registry = new AdapterRegistry();
  const again: Adapter = { kind: 'store', scheme: 'fs', packageName: 'other', load: async () => ({}) };
  expect(() => registry.add(again)).toThrow(code('CONFIG_INVALID'));
  expect(() => new AdapterRegistry([again, again])).toThrow(code('CONFIG_INVALID'));
});

test('an adapter that is not installed says how to install it', async () => {
  // A name that only the run time resolves.
  const packageName = ['@fitdoc', 'store-absent'].join('/');
  const load = () => import(packageName);
  const registry = new AdapterRegistry([{ kind: 'store', scheme: 'absent', packageName, load }]);
  await expect(registry.openStore('absent:x')).rejects.toMatchObject({
    code: 'CAPABILITY_MISSING',
    hint: 'Install it: npm install @fitdoc/store-absent',
  });
});

test('an adapter whose own dependency is missing does not pass for absent', async () => {
  await install('broken', `import 'nowhere-to-be-found'; ${store('broken')}`);
  const file = path.join(place, 'node_modules/broken/a.js');
  const load = () => import(file);
  const registry = new AdapterRegistry([{ kind: 'store', scheme: 'broken', packageName: 'broken', load }]);
  const error = await registry.openStore('broken:x').catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'CAPABILITY_MISSING', hint: 'Install broken again.' });
  expect((error as Error).message).toContain('nowhere-to-be-found');
});

test('adapters of others come by package name from configuration', async () => {
  await install('their-store', store('theirs'));
  const registry = new AdapterRegistry();
  await registry.addPackages(['their-store'], place);
  expect(await registry.openStore('theirs:there')).toMatchObject({ location: 'there' });
  await expect(openStore('theirs:there')).rejects.toThrow(code('LOCATION_UNKNOWN'));
});

test.each([
  ['a path', './evil.js', ''],
  ['a URL', 'file:///evil.js', ''],
  ['a data URL', 'data:text/javascript,0', ''],
  ['something that is not installed', 'not-there', ''],
  ['a package without an adapter', 'plain', 'export const x = 1;'],
  ['an adapter of a future port', 'future', store('future').replace('store-v1', 'store-v9')],
  ['an adapter whose scheme is taken', 'taken', store('fs')],
])('configuration with %s is CONFIG_INVALID', async (_what, name, source) => {
  if (source) await install(name, source);
  await expect(new AdapterRegistry().addPackages([name], place)).rejects.toThrow(code('CONFIG_INVALID'));
});
