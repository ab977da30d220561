import { expect, test } from 'vitest';
import { runReadmeExample } from '../../../tools/readme/src/index.js';
import { bareMetal, boot, stopGuests, withoutQemu } from './support/real.js';

const here = new URL('..', import.meta.url);

test('the example in the README runs, and says what to do where there is no QEMU', async () => {
  const { stdout } = await runReadmeExample(here, { env: { QMP: '/nowhere/vm.qmp' } });
  expect(stdout).toMatch(/^MACHINE_NOT_FOUND Start QEMU with/);
});

test.skipIf(withoutQemu)('the example in the README asks a real QEMU', async () => {
  const guest = await boot(bareMetal());
  try {
    const { stdout } = await runReadmeExample(here, { env: { QMP: guest.qmpPath } });
    expect(stdout).toMatch(/^QEMU \d+\.\d+\.\d+: running\n$/);
  } finally {
    await stopGuests();
  }
});
