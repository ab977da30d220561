import { FitdocError } from '@fitdoc/interface';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { QmpClient } from '../src/qmp/client.js';
import { hypervisor } from './support/hypervisor.js';
import {
  bareMetal,
  boot,
  Protected,
  proveRestored,
  settings,
  stopGuests,
  withoutQemu,
} from './support/real.js';

afterEach(async () => {
  vi.restoreAllMocks();
  await stopGuests();
});

describe.skipIf(withoutQemu)('a QEMU that descriptors do not come through to', () => {
  test('connects to a socket of ours, says so, and is captured and restored all the same', async () => {
    const guest = await boot(bareMetal());
    const execute = Reflect.get<QmpClient, 'execute'>(QmpClient.prototype, 'execute');
    // As a proxy before the monitor has it, which passes words on and nothing else.
    vi.spyOn(QmpClient.prototype, 'execute').mockImplementation(async function (this: QmpClient, ...call) {
      if (call[0] === 'getfd') throw new FitdocError('PROTOCOL_ERROR', 'No file descriptor supplied');
      return execute.apply(this, call);
    });
    const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
    expect(machine.supports.limits.join()).toMatch(/could not be given a descriptor/);
    const protection = new Protected(machine);
    expect((await protection.capture()).kind).toBe('full');
    expect((await protection.capture()).kind).toBe('increment');
    const kept = await protection.keep();
    await machine.detach();
    await proveRestored(guest, kept);
  }, 300_000);
});
