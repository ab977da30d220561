import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** The scripts and sources that run inside the Xen host. */
export const assets = resolve(here, '../../assets/xen');

/** The root of this repository. */
export const project = resolve(here, '../../../..');

/** Where everything fetched and built is kept: `.cache/lab/xen` of the repository, ignored by git. */
export function cacheFolder(...parts: string[]): string {
  const folder = join(process.env.FITDOC_LAB_CACHE ?? join(project, '.cache/lab'), 'xen', ...parts);
  mkdirSync(folder, { recursive: true });
  return folder;
}
