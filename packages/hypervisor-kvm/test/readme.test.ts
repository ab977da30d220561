import { expect, test } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import { missingForKvm, missingForQemu, startGuest } from '../../../tools/lab/src/qemu/index.js';
import { runReadmeExample } from '../../../tools/readme/src/index.js';

const here = new URL('..', import.meta.url);
const qemu = gate('qemu', await missingForQemu());
const emulated = (await missingForKvm()) !== undefined;

test('the example in the README runs, and says what to do where there is no guest', async () => {
  const { stdout } = await runReadmeExample(here, { env: { QMP: '/nowhere/vm.qmp' } });
  expect(stdout).toMatch(/^MACHINE_NOT_FOUND Start QEMU with/);
});

test.skipIf(qemu.skip)(qemu.title('the example in the README captures a real guest'), async () => {
  const guest = await startGuest({
    machine: 'pc',
    cpus: 2,
    ...(emulated ? { accel: 'tcg', guest: 'firmware', memoryKib: 64 * 1024 + 8 } : { accel: 'kvm' }),
  });
  try {
    const { stdout } = await runReadmeExample(here, { env: { QMP: guest.qmpPath } });
    expect(stdout).toMatch(/^qemu \d+\.\d+\.\d+: full, paused for [\d.]+ ms\n$/);
  } finally {
    await guest.stop();
  }
});
