import { readFile } from 'node:fs/promises';

/** Bytes of a process that no other has. */
export interface PrivateMemory {
  readonly all: number;
  /** Of them, those of the mapping that is the guest's main memory. */
  readonly guest: number;
}

/** The guest's memory is the one mapping that is as large as it is. */
export async function privateMemory(pid: number, guestBytes: number): Promise<PrivateMemory> {
  let all = 0;
  let guest = 0;
  let size = 0;
  for (const line of (await readFile(`/proc/${pid}/smaps`, 'latin1')).split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? [];
    if (from !== undefined && to !== undefined) size = Number(BigInt(`0x${to}`) - BigInt(`0x${from}`));
    // What is clean and private is a program's text that only one process runs: it is the file's.
    const [, kib] = /^Private_Dirty:\s+(\d+) kB$/.exec(line) ?? [];
    if (kib === undefined) continue;
    all += Number(kib) * 1024;
    if (size === guestBytes) guest += Number(kib) * 1024;
  }
  return { all, guest };
}
