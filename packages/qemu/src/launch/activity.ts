import { readFile } from 'node:fs/promises';
import type { CpuActivity } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';

/** What was seen of a virtual processor at one moment. */
interface Seen {
  /** Nanoseconds of a host's processor that its thread has had; undefined where it is out of our sight. */
  readonly ranNs: bigint | undefined;
  readonly registers: string;
}

/**
 * Tells what virtual processors did between two looks: by the time that the host's scheduler gave their threads, and by
 * their registers. To read registers interrupts a processor for a moment, so the time is read first, and that reading
 * is left out of the next stretch.
 */
export class ActivityWatch {
  #before: readonly Seen[] = [];

  async look(qmp: QmpClient, signal?: AbortSignal): Promise<CpuActivity[]> {
    const cpus = await qmp.execute<readonly { 'thread-id'?: number }[]>('query-cpus-fast', {}, { signal });
    const threads = cpus.map((cpu) => cpu['thread-id']);
    const ran = await Promise.all(threads.map(ranNs));
    const registers: string[] = [];
    for (const index of cpus.keys()) registers.push(await registersOf(qmp, index, signal));
    const activity = cpus.map((_, cpu): CpuActivity => {
      const before = this.#before[cpu];
      const now = ran[cpu];
      const time =
        now === undefined || before?.ranNs === undefined ? undefined : Number(now - before.ranNs) / 1e6;
      const moved = before !== undefined && before.registers !== registers[cpu];
      return { cpu, ...(time !== undefined && { ranMs: time }), moved };
    });
    const after = await Promise.all(threads.map(ranNs));
    this.#before = cpus.map((_, cpu) => ({ ranNs: after[cpu], registers: registers[cpu]! }));
    return activity;
  }
}

/** The first number of /proc/TID/schedstat: see the kernel's Documentation/scheduler/sched-stats.rst. */
async function ranNs(thread: number | undefined): Promise<bigint | undefined> {
  if (thread === undefined) return undefined;
  const text = await readFile(`/proc/${thread}/schedstat`, 'latin1').catch(() => '');
  const first = /^\d+/.exec(text)?.[0];
  return first === undefined ? undefined : BigInt(first);
}

async function registersOf(qmp: QmpClient, index: number, signal?: AbortSignal): Promise<string> {
  const args = { 'command-line': 'info registers', 'cpu-index': index };
  return qmp.execute<string>('human-monitor-command', args, { signal }).catch(() => '');
}
