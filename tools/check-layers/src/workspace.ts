import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';

export const SCOPE = '@fitdoc/';

export interface SourceFile {
  /** Path from the package's directory. */
  readonly file: string;
  /** What it imports, statically or not, for types or not. */
  readonly imports: readonly string[];
}

export interface Package {
  /** Name without the scope. */
  readonly name: string;
  readonly directory: string;
  /** Packages of this repository that a user of the package gets, without the scope. */
  readonly dependencies: readonly string[];
  /** Packages of this repository that only its developers need. */
  readonly devDependencies: readonly string[];
  /** Subpaths that it exports: `.`, `./store`. */
  readonly exports: readonly string[];
  readonly sources: readonly SourceFile[];
  readonly tests: readonly SourceFile[];
}

interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Reads all packages in packages/ and apps/ of the repository at `root`. */
export async function readPackages(root: string): Promise<Package[]> {
  const packages: Package[] = [];
  for (const group of ['packages', 'apps']) {
    const directory = path.join(root, group);
    if (!existsSync(directory)) continue;
    for (const name of (await readdir(directory)).sort()) {
      if (!existsSync(path.join(directory, name, 'package.json'))) continue;
      packages.push(await readPackage(path.join(directory, name)));
    }
  }
  return packages;
}

async function readPackage(directory: string): Promise<Package> {
  const manifest = JSON.parse(await readFile(path.join(directory, 'package.json'), 'utf8')) as Manifest;
  const own = (...groups: (Readonly<Record<string, string>> | undefined)[]): string[] =>
    groups
      .flatMap((group) => Object.keys(group ?? {}))
      .filter((name) => name.startsWith(SCOPE))
      .map((name) => name.slice(SCOPE.length));
  return {
    name: manifest.name.replace(SCOPE, ''),
    directory,
    dependencies: own(manifest.dependencies, manifest.peerDependencies, manifest.optionalDependencies),
    devDependencies: own(manifest.devDependencies),
    exports: Object.keys(manifest.exports ?? {}),
    sources: await readSources(directory, 'src'),
    tests: await readSources(directory, 'test'),
  };
}

async function readSources(directory: string, folder: string): Promise<SourceFile[]> {
  const top = path.join(directory, folder);
  if (!existsSync(top)) return [];
  const files = (await readdir(top, { recursive: true }))
    .filter((file) => /\.[cm]?[jt]sx?$/.test(file))
    .sort();
  return Promise.all(
    files.map(async (file) => {
      const text = await readFile(path.join(top, file), 'utf8');
      const imports = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
      return { file: path.join(folder, file), imports };
    }),
  );
}
