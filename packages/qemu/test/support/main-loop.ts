import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestGuest } from './real.js';

/** Numbers of x86-64. */
const IOCTL = '16';
const FUTEX = '202';

/**
 * In what QEMU's main loop waits: `kvm` for a CPU that runs, which a kick brings out; `lock` for another thread of QEMU.
 * Undefined: it runs, or waits for what it is there for.
 */
export async function mainLoopWaits(guest: TestGuest): Promise<'kvm' | 'lock' | undefined> {
  const before = await call(guest);
  await sleep(100);
  if (before !== (await call(guest))) return undefined;
  const number = before.split(' ')[0];
  return number === IOCTL ? 'kvm' : number === FUTEX ? 'lock' : undefined;
}

/** The system call that the main loop is in, with its arguments. */
async function call({ pid }: TestGuest): Promise<string> {
  return readFile(`/proc/${pid}/task/${pid}/syscall`, 'latin1');
}
