import { installPrograms } from '../apt.js';
import { has } from '../shell.js';

/** Clients and servers of NBD, each by its Debian package. */
const programs: Readonly<Record<string, string>> = {
  'qemu-img': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
  nbdinfo: 'libnbd-bin',
  nbdcopy: 'libnbd-bin',
};

/** Installs, from Debian, what is missing of them. Needs root only if something is. */
export async function installNbdTools(): Promise<void> {
  await installPrograms(programs);
}

/** Which of the programs is not here, or undefined when all are. */
export async function missingForNbd(): Promise<string | undefined> {
  for (const command of Object.keys(programs))
    if (!(await has(command)))
      return `${command} is not installed (npx tsx tools/lab/src/nbd/main.ts install)`;
  return undefined;
}
