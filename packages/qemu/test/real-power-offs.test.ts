import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import type { KeptCheckpoint } from './support/oracle.js';
import { POWER_OFF, powerManagement } from './support/power.js';
import { bareMetal, boot, Protected, stopGuests, withoutKvm, type TestGuest } from './support/real.js';
import { restoresRight } from './support/restores-right.js';
import { on, testedQemus } from './support/table.js';

afterEach(stopGuests);

/** Guests that are powered off for each case; by hand more. */
const GUESTS = Number(process.env['POWER_OFFS'] ?? 2);

const qemus = withoutKvm === undefined ? await testedQemus() : [];

/** Takes checkpoints until the guest has powered off, at a moment of its own. Gives the first and the last of them. */
async function protectUntilOff(guest: TestGuest) {
  const machine = await hypervisor.attach(guest.qmpPath);
  const protection = new Protected(machine);
  const kept: [KeptCheckpoint, KeptCheckpoint?] = [await protection.keep()];
  // Its own patience is longer than a capture and the time between two of them.
  const off = sleep(Math.random() * 300).then(() => powerManagement(guest, POWER_OFF));
  off.catch(() => undefined);
  let refused: unknown;
  for (const end = Date.now() + 20_000; refused === undefined && Date.now() < end; await sleep(50))
    await protection.keep().then(
      (checkpoint) => (kept[1] = checkpoint),
      (error: unknown) => (refused = error),
    );
  return { machine, kept, refused };
}

describe.skipIf(withoutKvm)('a guest that powers off at any moment of its checkpoints', () => {
  const versions = [...new Set([qemus[0]!, qemus.at(-1)!])];
  const cases = versions.flatMap((qemu) => [1, 4].map((cpus) => [qemu.version, cpus, qemu] as const));

  test.each(cases)(
    'ends its QEMU %s with %i CPU(s) as ever, and comes back from the first and the last of them',
    async (_version, cpus, qemu) => {
      for (let i = 0; i < GUESTS; i++) {
        const guest = await boot(bareMetal({ cpus, ...on(qemu) }));
        const { machine, kept, refused } = await protectUntilOff(guest);
        expect(refused).toMatchObject({ details: { ended: true } });
        expect(await guest.exited).toBe('0');
        expect(machine.gone.reason).toMatchObject({ code: 'MACHINE_GONE', details: { ended: true } });
        await machine.detach();
        for (const each of kept) if (each !== undefined) await restoresRight(guest, each);
        await stopGuests();
      }
    },
    GUESTS * 60_000 + 60_000,
  );

  test.each(cases)(
    'stays powered off in a QEMU %s with %i CPU(s) that was told to keep it',
    async (_version, cpus, qemu) => {
      for (let i = 0; i < GUESTS; i++) {
        const guest = await boot(bareMetal({ cpus, ...on(qemu), extraArgs: ['-no-shutdown'] }));
        const status = async () => (await guest.monitor.execute<{ status: string }>('query-status')).status;
        const { machine, kept, refused } = await protectUntilOff(guest);
        expect(refused).toMatchObject({ code: 'MACHINE_NOT_RUNNING', details: { state: 'shutdown' } });
        await machine.detach();
        // COLO resumes one that powers off in its pause; all that then holds it again is a stop.
        expect(['shutdown', 'paused']).toContain(await status());
        await sleep(500);
        expect(['shutdown', 'paused']).toContain(await status());
        for (const each of kept) if (each !== undefined) await restoresRight(guest, each);
        await stopGuests();
      }
    },
    GUESTS * 60_000 + 60_000,
  );
});
