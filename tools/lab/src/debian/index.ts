import { has } from '../shell.js';
import { debianRoot, HOST_RELEASES, type HostRelease } from './roots.js';

export { DebianHost } from './host.js';
export { type HostRelease } from './roots.js';

/** Why a minimal Debian cannot be set up here, or undefined when it can. */
export async function missingForDebian(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'no root rights';
  const missing = (Object.keys(HOST_RELEASES) as HostRelease[]).filter(
    (each) => debianRoot(each) === undefined,
  );
  if (missing.length > 0)
    return `no root of Debian ${missing.join(', ')} (npx tsx tools/lab/src/debian/main.ts install)`;
  if (!(await has('systemd-nspawn'))) return 'no systemd-nspawn';
  return undefined;
}
