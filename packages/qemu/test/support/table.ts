import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { OTHER_RELEASES, otherQemu, qemuVersion } from '../../../../tools/lab/src/qemu/index.js';
import { hypervisor } from './hypervisor.js';
import type { KeptCheckpoint } from './oracle.js';
import { boot, proveTwin, Protected, twin, type GuestOptions, type TestGuest } from './real.js';

/** A QEMU that tests run on. */
export interface TestedQemu {
  readonly version: string;
  readonly major: number;
  /** What starts it; undefined: the system's. */
  readonly program: string | undefined;
  readonly firmware: string | undefined;
}

/** The QEMUs that are here, oldest first; says which the lab could not have. */
export async function testedQemus(): Promise<TestedQemu[]> {
  const found: TestedQemu[] = [];
  const own = await qemuVersion();
  if (own !== undefined) found.push(tested(own));
  for (const release of OTHER_RELEASES) {
    const qemu = await otherQemu(release);
    if (qemu !== undefined) found.push(tested(qemu.version, qemu.program, qemu.firmware));
    else
      process.stderr.write(
        `not run: tests on the QEMU of Debian ${release} (npx tsx tools/lab/src/qemu/main.ts install)\n`,
      );
  }
  return found;
}

function tested(version: string, program?: string, firmware?: string): TestedQemu {
  return { version, major: Number.parseInt(version, 10), program, firmware };
}

/** Options of a guest on that QEMU. */
export function on({ program }: TestedQemu): Pick<GuestOptions, 'qemu'> {
  return { qemu: program ?? 'qemu-system-x86_64' };
}

export interface TableRow {
  readonly checkpoints: number;
  /** Which of them are restored, each into a QEMU like the guest's, and proved. */
  readonly restored: readonly number[];
  /** What the captures after the first are to be. Default: increments. */
  readonly kind?: 'full' | 'increment';
  readonly config?: Record<string, unknown>;
  readonly disks?: 'external';
}

export interface TableResult {
  readonly guest: TestGuest;
  readonly kept: readonly KeptCheckpoint[];
  readonly pauses: readonly number[];
}

/** Takes checkpoints of a guest, and proves that it comes back from those that are to be restored. */
export async function takeAndRestore(
  options: GuestOptions,
  { checkpoints, restored, kind = 'increment', config = {}, disks }: TableRow,
): Promise<TableResult> {
  const guest = await boot(options);
  const machine = await hypervisor.attach(guest.qmpPath, {
    config,
    ...(disks === undefined ? {} : { disks }),
  });
  const protection = new Protected(machine);
  const kept: KeptCheckpoint[] = [];
  const pauses: number[] = [];
  for (let index = 0; index < checkpoints; index++) {
    const harvest = await protection.capture();
    expect(harvest.kind).toBe(index === 0 ? 'full' : kind);
    expect(harvest.pauseMs).toBeGreaterThan(0);
    if (index > 0) pauses.push(harvest.pauseMs);
    if (restored.includes(index)) kept.push(protection.memory.keep(machine.info, harvest.deviceState));
    await sleep(60);
  }
  await machine.detach();
  for (const checkpoint of kept) {
    const target = await twin(guest);
    const report = await hypervisor.restore(target.qmpPath, checkpoint);
    expect(report.state).toBe('running');
    await proveTwin(guest, target);
    await target.stop();
  }
  return { guest, kept, pauses: pauses.sort((a, b) => a - b) };
}
