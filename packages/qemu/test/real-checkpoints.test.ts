import { afterEach, describe, expect, test } from 'vitest';
import { bareMetal, stopGuests, withoutKvm, withoutQemu, type GuestOptions } from './support/real.js';
import { takeAndRestore } from './support/table.js';

afterEach(stopGuests);

const CHECKPOINTS = 22;

async function prove(options: GuestOptions, config: Record<string, unknown>): Promise<void> {
  const restored = [0, 3, 9, 15, 21];
  const { pauses } = await takeAndRestore(options, { checkpoints: CHECKPOINTS, restored, config });
  process.stderr.write(
    `${options.accel}: ${CHECKPOINTS} checkpoints, pause median ${pauses[pauses.length >> 1]!.toFixed(1)} ms, most ${pauses.at(-1)!.toFixed(1)} ms\n`,
  );
}

// A display and a module of memory: several RAM blocks besides the main one.
const blocks = ['-device', 'VGA,vgamem_mb=2', '-object', 'memory-backend-ram,id=more,size=8M'];
const moreBlocks = [...blocks, '-device', 'pc-dimm,memdev=more'];

test.skipIf(withoutKvm)(
  'a bare-metal guest with two CPUs and several RAM blocks on real KVM comes back from each checkpoint',
  async () => {
    const options = bareMetal({ extraArgs: ['-m', '64M,slots=2,maxmem=256M', ...moreBlocks] });
    expect(options.accel).toBe('kvm');
    await prove(options, {});
  },
  300_000,
);

describe.skipIf(withoutQemu)('a Linux guest under emulation', () => {
  test('with two CPUs comes back from each checkpoint', async () => {
    const options = { accel: 'tcg', cpus: 2, machine: 'q35', heart: { mib: 8, pages: 150 } } as const;
    await prove(options, { mode: 'colo' });
  }, 300_000);
});
