import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../lab/src/shell.js';
import { layConfiguration, layMaintainerScripts } from './layout.js';
import { epoch, settle } from './settle.js';
import type { Release } from './release.js';

/** Of glibc and GCC's run time libraries, the least that the runtime's makers build for; all are in a minimal Debian. */
const DEPENDS = 'libc6 (>= 2.28), libstdc++6, libgcc-s1';

/** Makes a Debian package of a root with `usr` in it. Format: deb(5), deb-control(5). */
export async function makeDeb(root: string, release: Release, file: string): Promise<void> {
  await layConfiguration(path.join(root, 'etc'));
  await settle(root, release.date);
  const size = (await run('du', ['-sk', '--apparent-size', root])).split('\t')[0]!;
  const control = path.join(root, 'DEBIAN');
  await mkdir(control);
  await layMaintainerScripts(control);
  await writeFile(path.join(control, 'conffiles'), '/etc/fitdocd.toml\n');
  await writeFile(path.join(control, 'control'), controlOf(release, size));
  await settle(control, release.date);
  const how = ['--root-owner-group', '-Zzstd', '-z9', '--build', root, file];
  await run('env', [`SOURCE_DATE_EPOCH=${epoch(release.date)}`, 'dpkg-deb', ...how]);
}

function controlOf({ version, target }: Release, kibibytes: string): string {
  return [
    'Package: fitdoc',
    `Version: ${version}`,
    `Architecture: ${target.debian}`,
    'Maintainer: The fitdoc developers <fitdoc@localhost>',
    `Installed-Size: ${kibibytes}`,
    `Depends: ${DEPENDS}`,
    'Section: admin',
    'Priority: optional',
    'Description: checkpoints of running virtual machines',
    ' Takes checkpoints of running QEMU/KVM and Xen guests, often and with a pause of',
    ' milliseconds, stores of each dirty page only the words that changed, and brings',
    ' a machine back to any of them. Holds the command fitdoc and the service fitdocd,',
    ' with the runtime that they were tested with.',
    '',
  ].join('\n');
}
