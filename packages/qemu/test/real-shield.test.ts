import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import {
  beatsMore,
  boot,
  isRunning,
  Protected,
  proveRestored,
  stopGuests,
  type TestGuest,
  withoutKvm,
  withoutQemu,
} from './support/real.js';
import { on, testedQemus } from './support/table.js';

afterEach(stopGuests);

const qemus = withoutQemu === undefined ? await testedQemus() : [];
type Capabilities = { capability: string; state: boolean }[];

/** As a management tool begins a save: it sets every capability it knows, then migrates. */
async function saveByOthers({ monitor }: TestGuest): Promise<unknown> {
  const known = await monitor.execute<Capabilities>('query-migrate-capabilities');
  const set = known
    .filter(({ capability }) => ['xbzrle', 'auto-converge', 'postcopy-ram'].includes(capability))
    .map(({ capability }) => ({ capability, state: false }));
  await monitor.execute('migrate-set-capabilities', { capabilities: set });
  return monitor.execute('migrate', { uri: 'exec:cat >/dev/null' });
}

// A "migrate" alone kills a QEMU before 9.2, and nothing keeps it off: that is said at the attach.
describe.skipIf(withoutKvm)('a save by others while we are attached', () => {
  test.each(qemus)(
    'is refused by QEMU $version, and the guest lives',
    async (qemu) => {
      const guest = await boot({ accel: 'kvm', guest: 'firmware', cpus: 2, ...on(qemu) });
      const before = await guest.monitor.execute('query-migrate-capabilities');
      const machine = await hypervisor.attach(guest.qmpPath);
      expect(machine.supports.limits.join()).toMatch(qemu.major < 8 ? /"migrate".*kills it/ : /^(?!.*kills)/);
      const protection = new Protected(machine);
      await protection.capture();
      await expect(saveByOthers(guest)).rejects.toMatchObject({ code: 'PROTOCOL_ERROR' });
      if (qemu.major >= 10)
        await expect(guest.monitor.execute('migrate', { uri: 'exec:cat >/dev/null' })).rejects.toMatchObject({
          code: 'PROTOCOL_ERROR',
        });
      for (let i = 0; i < 3; i++) expect((await protection.capture()).kind).toBe('increment');
      await expect(saveByOthers(guest)).rejects.toMatchObject({ code: 'PROTOCOL_ERROR' });
      const kept = await protection.keep();
      // A full capture begins a new migration, under no shield.
      expect((await machine.capture(protection.memory, { full: true })).kind).toBe('full');
      await machine.detach();
      expect(await isRunning(guest)).toBe(true);
      expect(await guest.monitor.execute('query-migrate-capabilities')).toEqual(before);
      await beatsMore(guest);
      await proveRestored(guest, kept);
      // Nobody is attached any more: it works as ever.
      await saveByOthers(guest);
      const state = async () => (await guest.monitor.execute<{ status: string }>('query-migrate')).status;
      await expect.poll(state, { timeout: 30_000 }).toBe('completed');
    },
    300_000,
  );
});
