import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningGuest } from '../../../lab/src/qemu/index.js';

/**
 * Gives the guest once it has said, by a line of `LOAD` and a number, that what its program works on is there; stops it
 * and throws when it cannot.
 */
export async function whenLoaded(
  guest: RunningGuest,
  program: string,
  timeoutMs = 600_000,
): Promise<RunningGuest> {
  try {
    await loaded(guest, program, timeoutMs);
    return guest;
  } catch (error) {
    await guest.stop();
    throw error;
  }
}

async function loaded({ serialPath }: RunningGuest, program: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const console = await readFile(serialPath, 'latin1').catch(() => '');
    if (/^LOAD \d+/m.test(console)) return;
    if (Date.now() > deadline || /panic|not found/.test(console))
      throw new Error(`${program} does not run in the guest; its console ends: ${console.slice(-800)}`);
    await sleep(200);
  }
}
