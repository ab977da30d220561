import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './command.js';

/** A package that goes to the registry. */
export interface Published {
  readonly name: string;
  readonly directory: string;
}

export async function publishedPackages(root: string): Promise<Published[]> {
  const found: Published[] = [];
  for (const group of ['packages', 'apps']) {
    if (!existsSync(path.join(root, group))) continue;
    for (const folder of (await readdir(path.join(root, group))).sort()) {
      const directory = path.join(root, group, folder);
      if (!existsSync(path.join(directory, 'package.json'))) continue;
      const manifest = JSON.parse(await readFile(path.join(directory, 'package.json'), 'utf8')) as {
        name: string;
        private?: boolean;
      };
      if (!manifest.private) found.push({ name: manifest.name, directory });
    }
  }
  return found;
}

export interface Packed {
  readonly name: string;
  readonly file: string;
  /** Paths in the tarball. */
  readonly files: readonly string[];
}

/** Packs built packages as `npm publish` would, into `target`. */
export async function pack(
  root: string,
  packages: readonly Published[],
  target: string,
): Promise<readonly Packed[]> {
  const chosen = packages.map(({ directory }) => `--workspace=${directory}`);
  const args = ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', target];
  const { code, stdout, stderr } = await run('npm', [...args, ...chosen], root);
  if (code !== 0) throw new Error(`the packages cannot be packed: ${stderr.trim()}`);
  const said = JSON.parse(stdout) as Record<string, PackReport>;
  const reports = new Map(Object.values(said).map((report) => [report.name, report]));
  return packages.map(({ name }) => {
    const report = reports.get(name);
    if (!report) throw new Error(`${name} cannot be packed: npm does not name it`);
    const files = report.files.map((file) => file.path);
    return { name, file: path.join(target, report.filename), files };
  });
}

interface PackReport {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}
