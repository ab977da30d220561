import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import {
  boot,
  proveTwin,
  Protected,
  stopGuests,
  twin,
  withoutKvm,
  withoutQemu,
  type GuestOptions,
} from './support/real.js';
import { on, testedQemus, type TestedQemu } from './support/table.js';

afterEach(stopGuests);

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const firmware = { guest: 'firmware', accel: 'kvm', cpus: 2 } as const;
// The oldest QEMU's: those after it have the type, too.
const TYPES = ['pc-i440fx-7.2', 'pc-q35-7.2'];
const directions = qemus.flatMap((from) => qemus.filter((to) => to !== from).map((to) => ({ from, to })));

async function carry(machine: string, from: TestedQemu, to: TestedQemu): Promise<string> {
  const extraArgs = ['-device', 'e1000,romfile=', '-device', 'VGA,vgamem_mb=1'];
  const options: GuestOptions = { ...firmware, machine, extraArgs };
  const guest = await boot({ ...options, ...on(from) });
  const attached = await hypervisor.attach(guest.qmpPath);
  const protection = new Protected(attached);
  await protection.capture();
  const kept = await protection.keep();
  await attached.detach();
  const target = await twin(guest, { ...options, ...on(to) });
  const { state, notes } = await hypervisor.restore(target.qmpPath, kept);
  expect(state).toBe('running');
  await proveTwin(guest, target);
  return notes.join('\n');
}

describe.skipIf(withoutKvm)('one versioned machine type', () => {
  test.each(directions)(
    'goes from QEMU $from.version to $to.version',
    async ({ from, to }) => {
      for (const type of TYPES) {
        const notes = await carry(type, from, to);
        expect(notes).toMatch(/52:54:00[^]*clock|clock[^]*52:54:00/);
        if (to.major < from.major) expect(notes).toMatch(/is older than the checkpoint's/);
        else expect(notes).not.toMatch(/older/);
        await stopGuests();
      }
    },
    300_000,
  );
});

const accelerators = withoutKvm === undefined ? (['kvm', 'tcg'] as const) : (['tcg'] as const);

describe.skipIf(withoutQemu)('the features of the CPU', () => {
  test.each(accelerators)(
    'are compared, not only its name (%s)',
    async (accel) => {
      const [model, flag] = accel === 'tcg' ? ['max', 'avx2'] : ['qemu64', 'clflush'];
      const options: GuestOptions = { ...firmware, accel, memoryKib: 32 * 1024 + 8, shim: false };
      const cpu = (named: string): GuestOptions => ({ ...options, extraArgs: ['-cpu', named] });
      const guest = await boot(cpu(model));
      const machine = await hypervisor.attach(guest.qmpPath);
      const kept = await new Protected(machine).keep();
      await machine.detach();
      const less = await twin(guest, cpu(`${model},-${flag}`));
      await expect(hypervisor.restore(less.qmpPath, kept)).rejects.toMatchObject({
        code: 'MACHINE_INCOMPATIBLE',
        message: expect.stringMatching(
          new RegExp(`differs: CPU flags that are missing: ${flag}\\.$`),
        ) as string,
      });
      // Untouched: it still waits, and takes what fits.
      const status = await less.monitor.execute<{ status: string }>('query-status');
      expect(status.status).toBe('inmigrate');
      const target = await twin(guest, cpu(model));
      await hypervisor.restore(target.qmpPath, kept);
      await proveTwin(guest, target);
    },
    300_000,
  );
});
