import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../lab/src/shell.js';
import { buildPackages } from '../src/build.js';
import { describeRelease } from '../src/release.js';
import { targetOf } from '../src/target.js';

const root = path.resolve(import.meta.dirname, '../../..');

/** The packages of these sources, in a folder of their own. */
export async function build() {
  const release = await describeRelease(root, targetOf());
  const folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-out-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    return { ...(await buildPackages(root, release, folder)), release, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The same Debian package by another version. */
export async function renumbered(deb: string, version: string): Promise<string> {
  const work = await mkdtemp(path.join(path.dirname(deb), 'tree-'));
  await run('dpkg-deb', ['--raw-extract', deb, work]);
  const control = path.join(work, 'DEBIAN', 'control');
  const text = await readFile(control, 'utf8');
  await writeFile(control, text.replace(/^Version: .*$/m, `Version: ${version}`));
  const file = path.join(path.dirname(deb), `fitdoc_${version}.deb`);
  await run('dpkg-deb', ['--root-owner-group', '-Znone', '--build', work, file]);
  await rm(work, { recursive: true });
  return file;
}
