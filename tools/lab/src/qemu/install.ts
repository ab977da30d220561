import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { installPrograms } from '../apt.js';
import { cached } from './cache.js';
import { run } from '../shell.js';

const programs: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  gcc: 'gcc',
  ld: 'binutils',
};

/** Installs, from Debian, what is missing of QEMU, busybox and the compiler. Needs root only if something is. */
export async function installQemu(): Promise<void> {
  await installPrograms(programs);
}

/** Path of Debian's kernel for virtual machines: downloaded and unpacked, not installed. */
export async function guestKernel(): Promise<string> {
  const directory = await cached('kernel', async (work) => {
    const name = await kernelPackage().catch(async () => {
      await run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', '-q', 'update']);
      return kernelPackage();
    });
    await run('apt-get', ['-o', 'APT::Sandbox::User=root', '-q', 'download', name], work);
    const archive = (await readdir(work)).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download ${name} left no package`);
    await run('dpkg', ['-x', archive, 'root'], work);
  });
  const boot = join(directory, 'root', 'boot');
  const kernel = (await readdir(boot)).find((file) => file.startsWith('vmlinuz'));
  if (kernel === undefined) throw new Error(`no kernel under ${boot}`);
  return join(boot, kernel);
}

async function kernelPackage(): Promise<string> {
  const text = await run('apt-cache', ['depends', 'linux-image-cloud-amd64']);
  const name = /Depends: (linux-image-\S+)/.exec(text)?.[1];
  if (name === undefined) throw new Error('apt knows no linux-image-cloud-amd64');
  return name;
}
