import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bootFiles, buildDom0, type BootFiles } from './dom0.js';
import { fetchPackages } from './packages.js';
import { assets, cacheFolder } from './paths.js';

/** A name that changes with what the image is made of: the package set, the assets, the build script. */
function fingerprint(packages: string): string {
  const hash = createHash('sha256').update(readdirSync(packages).sort().join('\n'));
  for (const name of readdirSync(assets).sort()) hash.update(readFileSync(join(assets, name)));
  hash.update(readFileSync(join(dirname(fileURLToPath(import.meta.url)), 'dom0.ts')));
  return hash.digest('hex').slice(0, 12);
}

/** Fetches and builds what is missing; a second call takes no time. */
export function installXen(log: (line: string) => void = () => {}): BootFiles {
  const packages = fetchPackages(log);
  const current = `image-${fingerprint(packages)}`;
  const folder = cacheFolder(current);
  const mark = join(folder, 'complete');
  if (!existsSync(mark)) {
    for (const name of readdirSync(cacheFolder())) {
      if (name.startsWith('image-') && name !== current) rmSync(cacheFolder(name), { recursive: true });
    }
    buildDom0(packages, folder, log);
    writeFileSync(mark, '');
  }
  return bootFiles(folder);
}
