import { hypervisorSuite, type HypervisorPlace, type RestoreTarget } from '@fitdoc/compliance/hypervisor';
import type { MachineInfo } from '@fitdoc/interface';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, it } from 'vitest';
import { hypervisor } from './support/hypervisor.js';
import {
  bareMetal,
  boot,
  isRunning,
  proveTwin,
  settings,
  stopGuests,
  twin,
  withoutQemu,
  type TestGuest,
} from './support/real.js';

let shared: TestGuest | undefined;
afterAll(stopGuests);

/** The same guest for all tests; a new one when a test has killed it. */
async function open(): Promise<HypervisorPlace> {
  const guest = (shared ??= await boot(bareMetal({ name: 'compliance' })));
  return {
    hypervisor,
    location: guest.qmpPath,
    attach: { config: settings(guest) },
    isRunning: () => isRunning(guest),
    mutate: () => sleep(120),
    kill: async () => {
      shared = undefined;
      process.kill(guest.pid, 'SIGKILL');
      await guest.exited;
    },
    restoreTarget: () => restoreTarget(guest),
  };
}

async function restoreTarget(guest: TestGuest): Promise<RestoreTarget> {
  const target = await twin(guest);
  return {
    location: target.qmpPath,
    verify: () => proveTwin(guest, target),
    misfits,
    dispose: () => target.stop(),
  };
}

/** Other memory, a block of another name, another machine, another device. */
function misfits(info: MachineInfo): MachineInfo[] {
  const [first, ...others] = info.regions;
  const last = others.at(-1)!;
  const shifted = others.map((region) => ({ ...region, firstGfn: region.firstGfn + 256 }));
  return [
    { ...info, regions: [{ ...first!, pages: first!.pages + 256 }, ...shifted] },
    { ...info, regions: [first!, ...others.slice(0, -1), { ...last, name: `${last.name}-other` }] },
    { ...info, platform: { ...info.platform, machineType: 'pc-q35-7.2' } },
    { ...info, platform: { ...info.platform, devices: ['nothing'] } },
  ];
}

describe.skipIf(withoutQemu)('a real QEMU', () => {
  hypervisorSuite(
    { describe, it: (name, body, timeoutMs) => it(name, body, timeoutMs) },
    { name: 'kvm', open, absentLocation: '/nowhere/qmp.sock', rounds: 3, timeoutMs: 60_000 },
  );
});
