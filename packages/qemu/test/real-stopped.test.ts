import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { hold } from './support/holder.js';
import { beatsMore, boot, isRunning, stopGuests, withoutKvm, withoutQemu } from './support/real.js';
import { on, testedQemus } from './support/table.js';

afterEach(stopGuests);

const qemus = withoutQemu === undefined ? await testedQemus() : [];

// QEMU 11 holds its big lock while it sends memory: what it had to wait for there would hold up all of it.
describe.skipIf(withoutKvm)('a process that is stopped (Ctrl-Z) while it captures', () => {
  test.each(qemus.filter(({ major }) => major >= 11))(
    'holds up neither QEMU $version nor its guest, and goes on when it may',
    async (qemu) => {
      const guest = await boot({ accel: 'kvm', guest: 'firmware', cpus: 2, ...on(qemu) });
      const holder = await hold(guest);
      for (let round = 0; round < 8; round++) {
        const captured = holder.ask('capture');
        // A different moment each time: before the answer to QEMU, in the pause, while the stream is read.
        await sleep(round * 2);
        holder.child.kill('SIGSTOP');
        await sleep(100);
        await expect.poll(() => isRunning(guest), { timeout: 20_000 }).toBe(true);
        await beatsMore(guest, 1);
        holder.child.kill('SIGCONT');
        await captured;
      }
      await holder.ask('detach');
      expect(await isRunning(guest)).toBe(true);
      await beatsMore(guest);
    },
    300_000,
  );

  test.each(qemus)(
    'and whose checkpoint the buffer does not hold, loses its stream: QEMU $version and its guest go on',
    async (qemu) => {
      const guest = await boot({ accel: 'kvm', guest: 'firmware', cpus: 2, ...on(qemu) });
      const holder = await hold(guest, true, [], 4096);
      // Long enough for the guest to dirty more than the least buffer takes.
      await sleep(1500);
      const captured = holder.ask('capture');
      for (let state = ''; state !== 'colo';) {
        const { status } = await guest.monitor.execute<{ status: string }>('query-status');
        state = status;
      }
      holder.child.kill('SIGSTOP');
      await expect.poll(() => isRunning(guest), { timeout: 60_000 }).toBe(true);
      await beatsMore(guest);
      holder.child.kill('SIGCONT');
      expect(await captured).toEqual(['failed CAPTURE_FAILED']);
      expect(await holder.ask('capture')).toEqual([]);
      await holder.ask('detach');
      expect(await isRunning(guest)).toBe(true);
      await beatsMore(guest);
    },
    300_000,
  );
});
