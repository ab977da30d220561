import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Names the process that a temporary file belongs to, and tells whether such a one has ended. */
export interface ProcessToken {
  /** Of `a-z 0-9 .`, as a part of file names. */
  readonly token: string;
  /** True when the token's process has certainly ended; false when it lives or that cannot be told. */
  hasEnded(token: string): boolean;
}

/**
 * The token of this process: boot and pid namespace (only within one can pids be compared), pid, and the
 * start of the process, which tells it from a later one with the same pid.
 */
export function thisProcessToken(): ProcessToken {
  const scope = createHash('sha256').update(pidScope()).digest('hex').slice(0, 16);
  return {
    token: `${scope}.${process.pid}.${startOf(process.pid) ?? 0}`,
    hasEnded(token) {
      const [otherScope, pid, start] = token.split('.');
      if (otherScope !== scope || !pid || !/^\d+$/.test(pid)) return false;
      try {
        process.kill(Number(pid), 0);
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'ESRCH';
      }
      const started = startOf(Number(pid));
      return started !== undefined && started !== start;
    },
  };
}

function pidScope(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
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
