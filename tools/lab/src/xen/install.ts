import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bootFiles, buildDom0, type BootFiles } from './dom0.js';
import { fetchPackages, missingForXen, type XenRelease } from './packages.js';
import { assets, cacheFolder } from './paths.js';

/** A name that changes with what the image is made of: the package set, the assets, the build script. */
function fingerprint(packages: readonly string[]): string {
  const hash = createHash('sha256').update(packages.map((file) => basename(file)).join('\n'));
  for (const name of readdirSync(assets).sort()) hash.update(readFileSync(join(assets, name)));
  hash.update(readFileSync(join(dirname(fileURLToPath(import.meta.url)), 'dom0.ts')));
  return hash.digest('hex').slice(0, 12);
}

const MARK = 'complete';

/** Images of a release in the cache; those without a release are of a time when there was one only. */
function imagesOf(release: XenRelease): string[] {
  const pattern = new RegExp(`^image-(${release.replace('.', '\\.')}-)?[0-9a-f]{12}$`);
  return readdirSync(cacheFolder()).filter((name) => pattern.test(name));
}

/** Fetches and builds what is missing; a second call takes no time. */
export async function installXen(
  release: XenRelease,
  log: (line: string) => void = () => {},
): Promise<BootFiles> {
  const packages = await fetchPackages(release, log);
  const current = `image-${release}-${fingerprint(packages)}`;
  const folder = cacheFolder(current);
  const mark = join(folder, MARK);
  if (!existsSync(mark)) {
    for (const name of imagesOf(release).filter((each) => each !== current)) {
      rmSync(cacheFolder(name), { recursive: true });
    }
    buildDom0(release, packages, folder, log);
    writeFileSync(mark, '');
  }
  return bootFiles(folder);
}

/** Why a release cannot be booted here, or undefined when it can; one beside this system's own must be installed. */
export function missingForRelease(release: XenRelease): string | undefined {
  const missing = missingForXen();
  if (missing !== undefined || release === '4.17') return missing;
  const installed = imagesOf(release).some((name) => existsSync(join(cacheFolder(name), MARK)));
  return installed
    ? undefined
    : `Xen ${release} is not installed (npx tsx tools/lab/src/xen/main.ts install ${release})`;
}
