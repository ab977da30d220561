import { afterEach, describe, test } from 'vitest';
import { stopGuests, withoutKvm, withoutQemu, type GuestOptions } from './support/real.js';
import { on, takeAndRestore, testedQemus } from './support/table.js';

afterEach(stopGuests);

const qemus = withoutQemu === undefined ? await testedQemus() : [];
const TABLE = { checkpoints: 20, restored: [0, 4, 9, 14, 19] };

const firmware = { guest: 'firmware', machine: 'pc', cpus: 2 } as const;

describe.each(qemus)('QEMU $version', (qemu) => {
  test.skipIf(withoutKvm)(
    'on KVM: 20 checkpoints by COLO, and the guest comes back from five',
    async () => {
      await takeAndRestore({ ...firmware, accel: 'kvm', ...on(qemu) }, TABLE);
    },
    300_000,
  );

  // What QEMU 11 mended: before, COLO deadlocks it under emulation.
  test(`emulated: 20 checkpoints, ${qemu.major < 11 ? 'all full' : 'by COLO'}, and the guest comes back from five`, async () => {
    const emulated: GuestOptions = { ...firmware, accel: 'tcg', memoryKib: 32 * 1024 + 8, shim: false };
    await takeAndRestore(
      { ...emulated, ...on(qemu) },
      { ...TABLE, kind: qemu.major < 11 ? 'full' : 'increment' },
    );
  }, 300_000);
});
