import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

/** A QEMU that runs on this host. */
export interface QemuProcess {
  readonly pid: number;
  readonly args: readonly string[];
}

const QEMU = /^(qemu-system-\w+|qemu-kvm|kvm)$/;
const LOADER = /^ld-(linux|musl)?.*\.so/;

/** The QEMUs among this host's processes; those of other users too, as far as this one may see them. */
export async function qemuProcesses(): Promise<QemuProcess[]> {
  const names = await readdir('/proc');
  const found = await Promise.all(names.filter((name) => /^\d+$/.test(name)).map(qemuProcess));
  return found.flatMap((each) => each ?? []).sort((a, b) => a.pid - b.pid);
}

async function qemuProcess(pid: string): Promise<QemuProcess | undefined> {
  // A process may end while it is looked at.
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (line === '') return undefined;
  const args = line.replace(/\0$/, '').split('\0');
  const program = await readlink(`/proc/${pid}/exe`).catch(() => args[0] ?? '');
  return isQemu(basename(program).replace(/ \(deleted\)$/, ''), args)
    ? { pid: Number(pid), args }
    : undefined;
}

/** By what runs, not by what is said: a shell or a `timeout` may have QEMU's whole command line as its own. */
function isQemu(program: string, args: readonly string[]): boolean {
  if (QEMU.test(program)) return true;
  return LOADER.test(program) && args.slice(0, 10).some((arg) => QEMU.test(basename(arg)));
}
