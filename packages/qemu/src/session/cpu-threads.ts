import { readdir, readFile, readlink } from 'node:fs/promises';
import { begunAt } from '../native/processes.js';
import { signalThread } from '../native/threads.js';
import type { QmpClient } from '../qmp/client.js';

/** The threads in which a QEMU runs its CPUs by KVM. */
export interface CpuThreads {
  readonly process: number;
  /** When that process began, which tells it from a later one of its number. */
  readonly begun: string;
  readonly threads: readonly number[];
}

/** What QEMU itself sends to a thread of a CPU to bring it out of KVM: SIGUSR1. */
const KICK = 10;

/**
 * The threads of a QEMU's CPUs. Undefined where it does not use KVM, where it is in a name space or of a user that is
 * out of our sight, and where the process of that number does not show in every way that it is one of KVM's.
 */
export async function readCpuThreads(qmp: QmpClient): Promise<CpuThreads | undefined> {
  const { enabled } = await qmp.execute<{ enabled: boolean }>('query-kvm');
  if (!enabled) return undefined;
  const cpus = await qmp.execute<readonly { 'thread-id'?: number }[]>('query-cpus-fast');
  const threads = cpus.flatMap((cpu) => cpu['thread-id'] ?? []);
  try {
    const owners = await Promise.all(threads.map(async (thread) => statusField(thread, 'Tgid')));
    const process_ = Number(owners[0]);
    if (threads.length === 0 || owners.some((owner) => Number(owner) !== process_)) return undefined;
    if (!(await handlesKicks(process_)) || (await virtualCpus(process_)) < threads.length) return undefined;
    return { process: process_, begun: await begunAt(process_), threads };
  } catch {
    return undefined;
  }
}

/**
 * Brings the CPUs out of KVM for a moment, as QEMU itself does all the time: the guest goes on at once. A main loop that
 * resets CPUs which run, where it took them for stopped, waits in the kernel until they come out, and holds QEMU's lock.
 */
export async function kick({ process: process_, begun, threads }: CpuThreads): Promise<void> {
  try {
    if ((await begunAt(process_)) !== begun || !(await handlesKicks(process_))) return;
    for (const thread of threads) await signalThread(process_, thread, KICK);
  } catch {
    // It is gone, or not ours to signal.
  }
}

/** Has a QEMU that does not answer kicked until it does. */
export function kickWhenSilent(qmp: QmpClient, cpus: CpuThreads | undefined): void {
  if (cpus !== undefined) qmp.onSilence = () => void kick(cpus);
}

/** Whether the signal is caught there: who does not expect it would die of it. */
async function handlesKicks(process_: number): Promise<boolean> {
  return ((BigInt(`0x${await statusField(process_, 'SigCgt')}`) >> BigInt(KICK - 1)) & 1n) === 1n;
}

async function virtualCpus(process_: number): Promise<number> {
  const folder = `/proc/${process_}/fd`;
  const targets = await Promise.all(
    (await readdir(folder)).map(async (name) => readlink(`${folder}/${name}`).catch(() => '')),
  );
  return targets.filter((target) => target.startsWith('anon_inode:kvm-vcpu')).length;
}

async function statusField(task: number, name: string): Promise<string> {
  const status = await readFile(`/proc/${task}/status`, 'latin1');
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
}
