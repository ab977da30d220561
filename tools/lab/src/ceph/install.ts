import { installPrograms } from '../apt.js';
import { has } from '../shell.js';

const programs: Readonly<Record<string, string>> = {
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  radosgw: 'radosgw',
  ceph: 'ceph-common',
  setpriv: 'util-linux',
};

/** Installs, from Debian, what is missing of Ceph. Needs root only if something is. */
export async function installCeph(): Promise<void> {
  await installPrograms(programs);
}

/** Why no Ceph can be started here, or undefined when one can. */
export async function missingForCeph(): Promise<string | undefined> {
  for (const command of Object.keys(programs))
    if (!(await has(command)))
      return `${command} is not installed (npx tsx tools/lab/src/ceph/main.ts install)`;
  return undefined;
}
