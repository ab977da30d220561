import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installPrograms } from '../apt.js';
import { cached, cacheDirectory } from '../qemu/cache.js';
import { run } from '../shell.js';

/** Releases of Debian that hosts run, and what a minimal one is given beside its essential packages. */
export const HOST_RELEASES = {
  // An init that can be booted, for the service.
  bookworm: ['systemd', 'systemd-sysv', 'dbus', 'man-db'],
  trixie: [],
} as const;
export type HostRelease = keyof typeof HOST_RELEASES;

/** The tar archive of a minimal root that `installRoot` has made; undefined when it has not. */
export function debianRoot(release: HostRelease): string | undefined {
  const file = join(cacheDirectory, `debian-${release}`, 'root.tar');
  return existsSync(file) ? file : undefined;
}

/** Makes a minimal root of a release, from where this system's own packages come. Needs root. */
export async function installRoot(release: HostRelease): Promise<string> {
  await installPrograms({ mmdebstrap: 'mmdebstrap', 'systemd-nspawn': 'systemd-container' });
  const directory = await cached(`debian-${release}`, async (work) => {
    const wanted = HOST_RELEASES[release].join(',');
    const include = wanted === '' ? [] : [`--include=${wanted}`];
    await run('mmdebstrap', ['--variant=minbase', '--quiet', ...include, release, join(work, 'root.tar')]);
  });
  return join(directory, 'root.tar');
}
