import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Who holds a lock. */
export interface LockOwner {
  readonly host: string;
  readonly pid: number;
  /**
   * Same for two processes only when they can see each other's pids: one boot of one host, one pid namespace.
   * Empty where that cannot be told.
   */
  readonly scope: string;
  /** Start of the process, by the kernel's count, which tells a pid from a later one of the same number. */
  readonly startedAt: string;
  /** Different for every opened repository. */
  readonly instance: string;
}

export function thisProcess(): LockOwner {
  return {
    host: hostname(),
    pid: process.pid,
    scope: pidScope(),
    startedAt: startOf(process.pid) ?? '',
    instance: randomBytes(8).toString('hex'),
  };
}

/** Whether the owner's process has certainly ended. False when it lives, or when that cannot be told. */
export function isDead(owner: LockOwner): boolean {
  if (!isOurHost(owner)) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const started = startOf(owner.pid);
  return owner.startedAt !== '' && started !== undefined && started !== owner.startedAt;
}

/** Whether the owner's process is one that this one could see. */
export function isOurHost(owner: LockOwner): boolean {
  return owner.scope !== '' && owner.scope === pidScope();
}

function pidScope(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}:${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name, in parentheses, may hold anything; the start is field 22.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
