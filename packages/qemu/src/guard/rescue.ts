import { setTimeout as sleep } from 'node:timers/promises';
import { isFitdocError } from '@fitdoc/interface';
import type { Door } from '../door.js';
import { sweepDisks } from '../disks/sweep.js';
import { SILENCE_MS, type QmpClient } from '../qmp/client.js';
import { kickWhenSilent, kick } from '../session/cpu-threads.js';
import { release } from '../session/release.js';
import { restoreSettings } from '../session/settings.js';
import { lifeOf } from './life.js';
import type { GuardMessage } from './messages.js';
import { endRecord, isSuperseded } from './record.js';

/** What a guard needs of a door. */
export type GuardDoor = Pick<Door, 'connect' | 'life'>;

/** How often a machine that cannot be reached, or not be released, is tried. */
const TRIES = 60;
const BETWEEN_MS = 500;

/**
 * Ends what an attachment left in a QEMU: its migration, so that the guest runs unless its operator or
 * its own doing made it stand, and its settings. Waits for as long as COLO's end would start a guest that is not to run.
 */
export async function rescue(door: GuardDoor, left: Omit<GuardMessage, 'type'>): Promise<void> {
  const { kept } = left;
  for (let failures = 0; failures < TRIES;) {
    // Whoever is attached now has ended what was left, and puts the settings back when it goes.
    if (await isSuperseded(kept)) return;
    try {
      if (await attempt(door, left)) return;
      failures = 0;
    } catch (error) {
      if (isOver(error)) {
        return await endRecord(kept);
      }
      failures++;
    }
    await sleep(BETWEEN_MS);
  }
}

/** Whether there is no such machine any more; what may yet come, as a daemon that is restarted, is waited for. */
function isOver(error: unknown): boolean {
  if (!isFitdocError(error) || error.retryable) return false;
  return error.code === 'MACHINE_NOT_FOUND' || error.code === 'MACHINE_GONE';
}

/** Whether nothing is left to do. The socket is freed in any case: others may want it meanwhile. */
async function attempt(
  door: GuardDoor,
  { location, kept, life, cpus, keepBitmaps }: Omit<GuardMessage, 'type'>,
): Promise<boolean> {
  const client = await connect(door.connect, location, cpus);
  kickWhenSilent(client, cpus);
  try {
    // It was started again meanwhile, and owes nobody anything: its migration is its operator's.
    if ((await lifeOf(client, door)) !== life) {
      await endRecord(kept);
      return true;
    }
    const { pending } = await release(client, { keepStopped: kept.record.standing === true });
    if (pending !== undefined) return false;
    await sweepDisks(client, { keepBitmaps });
    await restoreSettings(client, kept.record.settings);
    await endRecord(kept);
    return true;
  } finally {
    client.close();
  }
}

/**
 * QEMU greets nobody while its main loop waits for its CPUs, and a reset may wait for each of them many times: they are
 * kicked for as long as it takes.
 */
async function connect(
  open: Door['connect'],
  location: string,
  cpus: GuardMessage['cpus'],
): Promise<QmpClient> {
  const kicking = setInterval(() => cpus && void kick(cpus), SILENCE_MS);
  try {
    return (await open(location)).client;
  } finally {
    clearInterval(kicking);
  }
}
