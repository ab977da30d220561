import { readFile } from 'node:fs/promises';
import { bindSockets } from './binding.js';

/** System calls that have one number on every architecture. */
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;

/**
 * A copy of another process's descriptor, the caller's to close. Undefined where the kernel refuses it (another user's
 * process, Yama's ptrace_scope for others than root) or there is none.
 */
export async function descriptorOf(process_: number, descriptor: number): Promise<number | undefined> {
  const calls = await bindSockets();
  const handle = Number(calls.syscall(PIDFD_OPEN, process_, 0, 0));
  if (handle < 0) return undefined;
  const copy = Number(calls.syscall(PIDFD_GETFD, handle, descriptor, 0));
  calls.close(handle);
  return copy < 0 ? undefined : copy;
}

/** When a process, or a thread, began, which tells it from a later one of its number. Rejects where it does not show. */
export async function begunAt(task: number): Promise<string> {
  const stat = await readFile(`/proc/${task}/stat`, 'latin1');
  // After the command's name in brackets: the third field is the state, the 22nd the start.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
