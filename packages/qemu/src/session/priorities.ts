import { readFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import type { QmpClient } from '../qmp/client.js';

const HIGHEST = -20;
const LOWEST = 19;

/**
 * Has the host run QEMU's main loop before anything else, and the guest's CPUs after everything else, until the
 * returned function is called: a command then overtakes the guest on a busy host too. Only root may put priorities
 * back, so only root changes them; where QEMU's threads cannot be seen nothing is changed either.
 */
export async function commandsFirst(qmp: QmpClient): Promise<() => void> {
  if (process.getuid?.() !== 0) return () => undefined;
  const cpus = await qmp.execute<readonly { 'thread-id'?: number }[]>('query-cpus-fast').catch(() => []);
  const threads = cpus.flatMap((cpu) => cpu['thread-id'] ?? []);
  const main = await processOf(threads[0]);
  if (main === undefined) return () => undefined;
  const before = [...threads, main].map((thread) => ({ thread, priority: read(thread) }));
  for (const thread of threads) write(thread, LOWEST);
  write(main, HIGHEST);
  return () => {
    for (const { thread, priority } of before) if (priority !== undefined) write(thread, priority);
  };
}

async function processOf(thread: number | undefined): Promise<number | undefined> {
  if (thread === undefined) return undefined;
  const status = await readFile(`/proc/${thread}/status`, 'latin1').catch(() => '');
  // A number that is somebody else's here, as in another name space, is not QEMU's.
  if (!/^Name:\t.*(CPU|qemu)/m.test(status)) return undefined;
  const found = /^Tgid:\t(\d+)/m.exec(status)?.[1];
  return found === undefined ? undefined : Number(found);
}

function read(thread: number): number | undefined {
  try {
    return getPriority(thread);
  } catch {
    return undefined;
  }
}

function write(thread: number, priority: number): void {
  try {
    setPriority(thread, priority);
  } catch {
    // It has ended, or the host does not allow it.
  }
}
