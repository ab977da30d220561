import path from 'node:path';
import { run } from '../../lab/src/shell.js';
import { layConfiguration } from './layout.js';
import { epoch, settle } from './settle.js';
import type { Release } from './release.js';

/** Makes a tarball of one folder, `fitdoc-VERSION`, from a laid-out `usr`: unpack it anywhere, run `bin/fitdoc`. */
export async function makeTarball(usr: string, { version, date }: Release, file: string): Promise<void> {
  await layConfiguration(path.join(usr, 'share/doc/fitdoc/examples'));
  await settle(usr, date);
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch(date)}`];
  const name = `--transform=flags=r;s,^\\.,fitdoc-${version},`;
  await run('tar', [...same, '--format=gnu', name, '-I', 'gzip -n -6', '-cf', file, '-C', usr, '.']);
}
