import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { installPackages } from '../apt.js';
import { has, run } from '../shell.js';
import { missingForQemu } from '../qemu/index.js';

const PACKAGES = ['libvirt-daemon-system', 'libvirt-daemon-driver-qemu', 'libvirt-clients', 'qemu-utils'];

/** Installs, from Debian, what is missing of libvirt and its QEMU driver. Needs root only if something is. */
export async function installLibvirt(): Promise<void> {
  if ((await missingProgram()) !== undefined) await installPackages(PACKAGES);
}

/** Why no libvirt of a test's own can run here, or undefined when one can. */
export async function missingForLibvirt(): Promise<string | undefined> {
  const missing = await missingProgram();
  if (missing !== undefined)
    return `${missing} is not installed (npx tsx tools/lab/src/libvirt/main.ts install)`;
  if (process.getuid?.() !== 0) return 'a libvirtd that runs guests as another user needs root';
  const spaces = await run('unshare', ['--mount', '--pid', '--fork', '--mount-proc', 'true']).catch(String);
  if (spaces !== '') return `no namespaces for a libvirtd of its own can be made here: ${spaces}`;
  return missingForQemu();
}

async function missingProgram(): Promise<string | undefined> {
  for (const command of ['libvirtd', 'virtlogd', 'virsh', 'qemu-img', 'unshare', 'nsenter', 'setpriv'])
    if (!(await has(command))) return command;
  return (await hasQemuDriver()) ? undefined : "libvirt's driver for QEMU";
}

async function hasQemuDriver(): Promise<boolean> {
  const folders = await readdir('/usr/lib').catch(() => []);
  return folders.some((name) =>
    existsSync(`/usr/lib/${name}/libvirt/connection-driver/libvirt_driver_qemu.so`),
  );
}
