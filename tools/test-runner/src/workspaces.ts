import { access, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/** The folders of all workspaces, in a stable order. */
export async function glob(root: string): Promise<string[]> {
  const folders: string[] = [];
  for (const group of ['packages', 'apps', 'tools']) {
    for (const name of (await readdir(path.join(root, group))).sort()) {
      const folder = path.join(root, group, name);
      const present = await access(path.join(folder, 'package.json')).then(
        () => true,
        () => false,
      );
      if (present) folders.push(folder);
    }
  }
  return folders;
}

/** Removes the reports of earlier runs, so that none of them is counted for this one. */
export async function clearReports(root: string): Promise<void> {
  await rm(path.join(root, '.reports'), { recursive: true, force: true });
  for (const folder of await glob(root)) {
    await rm(path.join(folder, '.reports'), { recursive: true, force: true });
  }
}
