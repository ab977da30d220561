import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A package of this repository. */
export interface Workspace {
  readonly name: string;
  /** Relative to the repository: `packages/engine`. */
  readonly folder: string;
  readonly dependencies: readonly string[];
}

const GROUPS = ['packages', 'apps', 'tools'];

export async function readWorkspaces(root: string): Promise<readonly Workspace[]> {
  const found: Workspace[] = [];
  for (const group of GROUPS)
    for (const name of (await readdir(path.join(root, group))).sort()) {
      const folder = `${group}/${name}`;
      const text = await readFile(path.join(root, folder, 'package.json'), 'utf8').catch(() => undefined);
      if (text === undefined) continue;
      const manifest = JSON.parse(text) as {
        name: string;
        dependencies?: Record<string, string>;
      };
      const dependencies = Object.keys(manifest.dependencies ?? {});
      found.push({ name: manifest.name, folder, dependencies });
    }
  return found;
}

/** The named ones and all of this repository that they need to run. */
export function closure(all: readonly Workspace[], names: readonly string[]): readonly Workspace[] {
  const wanted = new Set<string>();
  const visit = (name: string): void => {
    const workspace = all.find((each) => each.name === name);
    if (!workspace || wanted.has(name)) return;
    wanted.add(name);
    workspace.dependencies.forEach(visit);
  };
  names.forEach(visit);
  return all.filter(({ name }) => wanted.has(name));
}
