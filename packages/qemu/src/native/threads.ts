import { bindSockets } from './binding.js';

/** The system call's number, which differs from architecture to architecture. */
const TGKILL: Partial<Record<NodeJS.Architecture, number>> = {
  x64: 234,
  arm64: 131,
  riscv64: 131,
  loong64: 131,
  s390x: 241,
  ppc64: 250,
};

/**
 * Sends a signal to one thread of another process, which Node's `kill` cannot: that takes any thread of it. Gives
 * whether the kernel sent it. Errors: CAPABILITY_MISSING where the C library cannot be called.
 */
export async function signalThread(process_: number, thread: number, signal: number): Promise<boolean> {
  const number = TGKILL[process.arch];
  if (number === undefined) return false;
  const calls = await bindSockets();
  return Number(calls.syscall(number, process_, thread, signal)) === 0;
}
