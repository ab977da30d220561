import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's folder for what the lab downloads and builds; git-ignored. */
export const cacheDirectory = fileURLToPath(new URL('../../../../.cache/lab', import.meta.url));
/** Sources of the test guests. */
export const assetDirectory = fileURLToPath(new URL('../../assets/qemu', import.meta.url));

/**
 * Makes a directory once: `build` fills an empty one, which then appears under its name in one step. Safe
 * when several processes want it at the same moment.
 */
export async function cached(name: string, build: (directory: string) => Promise<void>): Promise<string> {
  const target = join(cacheDirectory, name);
  if (existsSync(target)) return target;
  await mkdir(cacheDirectory, { recursive: true });
  const work = await mkdtemp(join(cacheDirectory, '.build-'));
  try {
    await build(work);
    await rename(work, target);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}

/** A short hash of asset files and settings, for the names of what is built from them. */
export async function fingerprint(
  assets: readonly string[],
  ...settings: readonly string[]
): Promise<string> {
  const hash = createHash('sha256');
  for (const asset of assets) hash.update(await readFile(join(assetDirectory, asset)));
  return hash.update(settings.join('\n')).digest('hex').slice(0, 12);
}
