import type { Door } from '../door.js';
import type { QmpClient } from '../qmp/client.js';

/**
 * Tells the life of a QEMU from that of every other at its location: by the thread of its first CPU, which is its own
 * from its start to its end, and by what the door knows. Nothing else of that thread: it may be out of our sight, and
 * its number another's here.
 */
export async function lifeOf(qmp: QmpClient, door: Pick<Door, 'life'>): Promise<string> {
  const [cpu] = await qmp.execute<readonly { 'thread-id'?: number }[]>('query-cpus-fast');
  return JSON.stringify([cpu?.['thread-id'] ?? null, (await door.life?.(qmp)) ?? null]);
}
