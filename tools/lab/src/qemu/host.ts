import { access, constants } from 'node:fs/promises';
import { has, run } from '../shell.js';
import { startGuest } from './guest.js';
import { waitForHeartbeats } from './heartbeats.js';

/** Version of the QEMU on this machine, `7.2.22`; undefined when there is none. */
export async function qemuVersion(): Promise<string | undefined> {
  const text = await run('qemu-system-x86_64', ['--version']).catch(() => '');
  return /version (\d+\.\d+\.\d+)/.exec(text)?.[1];
}

/** Why the QEMU test guests cannot be built and run here, or undefined when they can. */
export async function missingForQemu(): Promise<string | undefined> {
  for (const command of ['qemu-system-x86_64', 'gcc', 'ld', 'busybox'])
    if (!(await has(command)))
      return `${command} is not installed (npx tsx tools/lab/src/qemu/main.ts install)`;
  return undefined;
}

/** Why the bare-metal guest does not run on real KVM here, or undefined when it does: it is tried. */
export async function missingForKvm(): Promise<string | undefined> {
  const qemu = await missingForQemu();
  if (qemu !== undefined) return qemu;
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
    const guest = await startGuest({ accel: 'kvm' });
    try {
      await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 1, 15_000);
    } finally {
      await guest.stop();
    }
    return undefined;
  } catch (error) {
    return `no guest runs on /dev/kvm: ${error instanceof Error ? error.message : String(error)}`;
  }
}
