import { readFile } from 'node:fs/promises';

/** Bytes of memory that this machine can give without paging. */
export async function availableBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Number(/MemAvailable:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024;
}
