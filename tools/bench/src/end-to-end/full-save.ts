import { rm, stat } from 'node:fs/promises';
import { syncFile } from './durable.js';
import type { Monitor } from './monitor.js';

export interface Save {
  /** Milliseconds from the request until it is on the disk. */
  readonly timeMs: number;
  /** Milliseconds in which the guest stood. */
  readonly pauseMs: number;
  readonly bytes: number;
}

/** QEMU's own save: the stopped guest's whole state into a file. The guest goes on before the file is synced. */
export async function fullSave(monitor: Monitor, file: string): Promise<Save> {
  const { qmp } = monitor;
  await monitor.prepare(false);
  const start = performance.now();
  const pauseMs = await monitor.pauseOf(async () => {
    await qmp.execute('stop');
    await qmp.execute('migrate', { uri: `exec:cat > ${file}` });
    await monitor.reached('completed');
    await monitor.resume();
  });
  await syncFile(file);
  const timeMs = performance.now() - start;
  const { size } = await stat(file);
  await rm(file);
  return { timeMs, pauseMs, bytes: size };
}
