import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The processes of this host by their numbers; one that ends meanwhile is left out. */
function* processes(): Generator<{ readonly pid: number; readonly words: readonly string[] }> {
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!(pid > 0)) continue;
    try {
      yield { pid, words: readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0') };
    } catch {
      // It has ended.
    }
  }
}

const lastPart = (path = '') => path.slice(path.lastIndexOf('/') + 1);

/**
 * Whether the toolstack saves or migrates a domain just now: libxl's helper does the work: `--save-domain`, two
 * descriptors, the domain's number.
 */
export function isBeingSaved(domid: number): boolean {
  for (const { words } of processes()) {
    if (lastPart(words[0]) !== 'libxl-save-helper') continue;
    const at = words.indexOf('--save-domain');
    if (at > 0 && words[at + 3] === String(domid)) return true;
  }
  return false;
}

const MONITORS = new Set(['create', 'restore', 'migrate-receive']);

/**
 * The process that `xl create`, or a restore, leaves behind to act on a domain's end: it writes to a log named
 * after the domain. One that writes elsewhere (`xl create -F`) may be of any domain and counts as well.
 */
export function monitorsOf(domain: string): number[] {
  const found: number[] = [];
  for (const { pid, words } of processes()) {
    if (lastPart(words[0]) !== 'xl' || !words.some((word) => MONITORS.has(word))) continue;
    const log = /^xl-(.*?)\.log(?:\.\d+)?$/.exec(outputOf(pid))?.[1];
    if (log === undefined || log === domain || log === `${domain}--incoming`) found.push(pid);
  }
  return found;
}

function outputOf(pid: number): string {
  try {
    return lastPart(readlinkSync(`/proc/${pid}/fd/1`));
  } catch {
    return '';
  }
}

function signal(pids: readonly number[], name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
}

/**
 * Stops processes that must not see a suspend: a monitor takes it for the end of its guest and goes, and nobody
 * would act on the guest's power-off, reboot or crash any more.
 */
export function halt(pids: readonly number[]): void {
  signal(pids, 'SIGSTOP');
}

/** Lets them go on; what they see then is how things are then. */
export function letGo(pids: readonly number[]): void {
  signal(pids, 'SIGCONT');
}
