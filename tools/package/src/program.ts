import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../lab/src/shell.js';
import { closure, readWorkspaces, type Workspace } from './workspaces.js';
import type { Target } from './target.js';

const APPS = ['@fitdoc/cli', '@fitdoc/daemon'];

/** What only those who build on a package read. */
const UNUSED = /\.(map|d\.ts|d\.cts|d\.mts|tsbuildinfo)$/;

/**
 * Lays the two programs into `into`, with all that they load: packages of other makers as the lock file names them,
 * ours as `npm pack` would publish them.
 */
export async function layProgram(root: string, into: string, target: Target): Promise<void> {
  const all = await readWorkspaces(root);
  const ours = closure(all, APPS);
  await mkdir(into, { recursive: true });
  await installLocked(root, into, all, target);
  for (const { folder } of all.filter((each) => !ours.includes(each)))
    await rm(path.join(into, folder), { recursive: true });
  await rm(path.join(into, 'tools'), { recursive: true });
  await unlinkOthers(into, ours);
  await unpackOurs(root, into, ours);
  for (const name of [
    'package.json',
    'package-lock.json',
    'node_modules/.package-lock.json',
    'node_modules/.bin',
  ])
    await rm(path.join(into, name), { recursive: true, force: true });
  await dropUnused(into);
}

/** The lock file is of the whole repository: npm wants to see all of its packages, and installs for the two. */
async function installLocked(
  root: string,
  into: string,
  all: readonly Workspace[],
  { cpu }: Target,
): Promise<void> {
  for (const file of [
    'package.json',
    'package-lock.json',
    ...all.map(({ folder }) => `${folder}/package.json`),
  ]) {
    await mkdir(path.dirname(path.join(into, file)), { recursive: true });
    await cp(path.join(root, file), path.join(into, file));
  }
  const chosen = APPS.map((name) => `--workspace=${name}`);
  const platform = [`--cpu=${cpu}`, '--os=linux', '--libc=glibc'];
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  await run('npm', ['ci', '--omit=dev', '--ignore-scripts', ...platform, ...quiet, ...chosen], into);
}

async function unlinkOthers(into: string, ours: readonly Workspace[]): Promise<void> {
  const scope = path.join(into, 'node_modules', '@fitdoc');
  const wanted = new Set(ours.map(({ name }) => name.slice('@fitdoc/'.length)));
  for (const name of await readdir(scope)) if (!wanted.has(name)) await rm(path.join(scope, name));
}

async function unpackOurs(root: string, into: string, ours: readonly Workspace[]): Promise<void> {
  const packed = await mkdtemp(path.join(tmpdir(), 'fitdoc-packed-'));
  try {
    const chosen = ours.map(({ folder }) => `--workspace=${folder}`);
    const how = ['pack', '--json', '--ignore-scripts', '--loglevel=error', `--pack-destination=${packed}`];
    const reports = Object.values(
      JSON.parse(await run('npm', [...how, ...chosen], root)) as Record<
        string,
        { name: string; filename: string }
      >,
    );
    for (const { name, folder } of ours) {
      const file = reports.find((report) => report.name === name)?.filename;
      if (file === undefined) throw new Error(`npm did not pack ${name}`);
      const to = path.join(into, folder);
      await run('tar', [
        '-xzf',
        path.join(packed, file),
        '-C',
        to,
        '--strip-components=1',
        '--no-same-owner',
      ]);
      await rm(path.join(to, 'src'), { recursive: true, force: true });
    }
  } finally {
    await rm(packed, { recursive: true });
  }
}

async function dropUnused(into: string): Promise<void> {
  for (const entry of await readdir(into, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && UNUSED.test(entry.name)) await rm(file);
    // A map that is not there is asked for by whoever debugs.
    else if (entry.isFile() && /\.m?js$/.test(entry.name)) await unmap(file);
  }
}

async function unmap(file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const without = text.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n');
  if (without !== text) await writeFile(file, without);
}
