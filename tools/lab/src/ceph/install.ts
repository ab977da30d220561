import { has, run } from '../qemu/shell.js';

const packages: Readonly<Record<string, string>> = {
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  radosgw: 'radosgw',
  ceph: 'ceph-common',
  setpriv: 'util-linux',
};

/** Installs, from Debian, what is missing of Ceph. Needs root only if something is. */
export async function installCeph(): Promise<void> {
  const missing: string[] = [];
  for (const [command, name] of Object.entries(packages)) if (!(await has(command))) missing.push(name);
  if (missing.length === 0) return;
  const apt = ['-o', 'DPkg::Lock::Timeout=600', '-q', '-y'];
  await run('apt-get', [...apt, 'update']);
  await run('apt-get', [...apt, 'install', '--no-install-recommends', ...missing]);
}

/** Why no Ceph can be started here, or undefined when one can. */
export async function missingForCeph(): Promise<string | undefined> {
  for (const command of Object.keys(packages))
    if (!(await has(command)))
      return `${command} is not installed (npx tsx tools/lab/src/ceph/main.ts install)`;
  return undefined;
}
