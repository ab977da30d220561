import { chmod, lstat, lutimes, readdir } from 'node:fs/promises';
import path from 'node:path';

/** Seconds since 1970. */
export function epoch(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** Takes out of a tree what depends on who built it and when: modes by the umask, times. */
export async function settle(root: string, date: Date): Promise<void> {
  for (const entry of await readdir(root, { withFileTypes: true })) {
    const file = path.join(root, entry.name);
    if (entry.isDirectory()) await settle(file, date);
    else if (!entry.isSymbolicLink()) await chmod(file, (await lstat(file)).mode & 0o100 ? 0o755 : 0o644);
    await lutimes(file, date, date);
  }
  await chmod(root, 0o755);
  await lutimes(root, date, date);
}
