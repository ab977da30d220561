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
  readonly file: string;
  /** Paths in the tarball. */
  readonly files: readonly string[];
}

/** Packs a built package as `npm publish` would, into `target`. */
export async function pack({ name, directory }: Published, target: string): Promise<Packed> {
  if (!existsSync(path.join(directory, 'dist'))) throw new Error(`${name} is not built: npm run build`);
  const args = ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', target];
  const { code, stdout, stderr } = await run('npm', args, directory);
  if (code !== 0) throw new Error(`${name} cannot be packed: ${stderr.trim()}`);
  const [packed] = Object.values(
    JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>,
  );
  if (!packed) throw new Error(`${name} cannot be packed: npm said nothing`);
  return { file: path.join(target, packed.filename), files: packed.files.map((file) => file.path) };
}
