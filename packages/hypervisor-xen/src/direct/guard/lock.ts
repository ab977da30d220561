import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FitdocError } from '@fitdoc/interface';

function holderOf(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return 0;
  }
}

function alive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export interface DomainLock {
  /** Its last holder died with it: what is suspended or halted may be so by its doing. */
  readonly inherited: boolean;
  readonly release: () => void;
}

/**
 * Takes the domain for this process: a dirty log that two read loses pages for both. A lock whose process has
 * died is taken over. Errors: MACHINE_BUSY.
 */
export function lockDomain(domid: number): DomainLock {
  let inherited = false;
  const path = join(existsSync('/run') ? '/run' : tmpdir(), `fitdoc-xen-${domid}.lock`);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = openSync(path, 'wx', 0o600);
      writeSync(file, String(process.pid));
      closeSync(file);
      return { inherited, release: () => rmSync(path, { force: true }) };
    } catch (cause) {
      const holder = holderOf(path);
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST' && !alive(holder)) {
        rmSync(path, { force: true });
        inherited = true;
        continue;
      }
      throw new FitdocError('MACHINE_BUSY', `Process ${holder} captures this domain already.`, {
        cause,
        hint: 'Stop the other fitdoc first.',
      });
    }
  }
  throw new FitdocError('MACHINE_BUSY', 'Another process took this domain just now.', { retryable: true });
}
