import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { hypervisor } from '../src/hypervisor.js';
import type { KeptCheckpoint } from './support/oracle.js';
import {
  bareMetal,
  boot,
  proveTwin,
  Protected,
  settings,
  stopGuests,
  twin,
  withoutKvm,
  withoutQemu,
  type GuestOptions,
} from './support/real.js';

afterEach(stopGuests);

const CHECKPOINTS = 22;
const RESTORED = [0, 3, 9, 15, 21];

async function takeAndRestore(options: GuestOptions): Promise<void> {
  const guest = await boot(options);
  const machine = await hypervisor.attach(guest.qmpPath, { config: settings(guest) });
  const protection = new Protected(machine);
  const kept: KeptCheckpoint[] = [];
  const pauses: number[] = [];
  for (let index = 0; index < CHECKPOINTS; index++) {
    const harvest = await protection.capture();
    expect(harvest.kind).toBe(index === 0 ? 'full' : 'increment');
    expect(harvest.pauseMs).toBeGreaterThan(0);
    if (index > 0) pauses.push(harvest.pauseMs);
    if (RESTORED.includes(index)) kept.push(protection.memory.keep(machine.info, harvest.deviceState));
    await sleep(100);
  }
  await machine.detach();
  const sorted = pauses.sort((a, b) => a - b);
  process.stderr.write(
    `${options.accel}: ${CHECKPOINTS} checkpoints, pause median ${sorted[sorted.length >> 1]!.toFixed(1)} ms, most ${sorted.at(-1)!.toFixed(1)} ms\n`,
  );
  for (const checkpoint of kept) {
    const target = await twin(guest);
    const report = await hypervisor.restore(target.qmpPath, checkpoint);
    expect(report.state).toBe('running');
    await proveTwin(guest, target);
    await target.stop();
  }
}

// A display and a module of memory: several RAM blocks besides the main one.
const blocks = ['-device', 'VGA,vgamem_mb=2', '-object', 'memory-backend-ram,id=more,size=8M'];
const moreBlocks = [...blocks, '-device', 'pc-dimm,memdev=more'];

test.skipIf(withoutKvm)(
  'a bare-metal guest with two CPUs and several RAM blocks on real KVM comes back from each checkpoint',
  async () => {
    const options = bareMetal({ extraArgs: ['-m', '64M,slots=2,maxmem=256M', ...moreBlocks] });
    expect(options.accel).toBe('kvm');
    await takeAndRestore(options);
  },
  180_000,
);

describe.skipIf(withoutQemu)('a Linux guest under emulation', () => {
  test('with two CPUs comes back from each checkpoint', async () => {
    await takeAndRestore({ accel: 'tcg', cpus: 2, machine: 'q35', heart: { mib: 8, pages: 150 } });
  }, 240_000);
});
