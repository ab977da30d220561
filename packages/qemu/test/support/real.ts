import type { Harvest, Machine } from '@fitdoc/interface';
import {
  missingForKvm,
  missingForQemu,
  readHeartbeats,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
  type Heartbeat,
  type RunningGuest,
} from '../../../../tools/lab/src/qemu/index.js';
import type { QmpClient } from '../../src/qmp/client.js';
import { connectSocket } from '../../src/qmp/socket.js';
import { hypervisor } from './hypervisor.js';
import { OracleMemory, type KeptCheckpoint } from './oracle.js';

export type { GuestOptions, RunningGuest };
export { readHeartbeats, startGuest, waitForHeartbeats };

const required = (process.env['REQUIRE_SUITES'] ?? '').split(',');

/** Why a suite cannot run here, printed; undefined when it can. A suite that is required then runs, and fails. */
function reason(suite: string, missing: string | undefined): string | undefined {
  if (missing === undefined || required.includes(suite) || required.includes('all')) return undefined;
  process.stderr.write(`skipped: tests on real QEMU (${suite}): ${missing}\n`);
  return missing;
}

export const withoutQemu = reason('qemu', await missingForQemu());
const kvmMissing = await missingForKvm();
export const withoutKvm = reason('kvm', kvmMissing);

/** The bare-metal guest, on KVM where it runs, else emulated. */
export function bareMetal(options: Partial<GuestOptions> = {}): GuestOptions {
  const fallback = { accel: 'tcg', guest: 'firmware', memoryKib: 64 * 1024 + 8 } as const;
  const chosen =
    kvmMissing === undefined || withoutKvm === undefined ? ({ accel: 'kvm' } as const) : fallback;
  return { machine: 'pc', cpus: 2, ...chosen, ...options };
}

const running = new Set<RunningGuest>();

/** A guest that beats, with a second monitor for the test itself. */
export interface TestGuest extends RunningGuest {
  readonly options: GuestOptions;
  readonly monitor: QmpClient;
}

/** Settings of an attachment to a test guest: emulated ones run with the work-around that COLO needs there. */
export function settings(guest: TestGuest): Record<string, unknown> {
  return guest.options.accel === 'tcg' ? { mode: 'colo' } : {};
}

/** Starts a guest; `stopGuests` ends it. Unless it waits for a restore, its first beats have been seen. */
export async function boot(options: GuestOptions, beats = 4): Promise<TestGuest> {
  const monitorArgs = ['-qmp', 'unix:monitor.sock,server=on,wait=off'];
  const guest = await startGuest({ ...options, extraArgs: [...(options.extraArgs ?? []), ...monitorArgs] });
  running.add(guest);
  void guest.exited.then(async (how) => {
    if (how !== 'SIGKILL' && how !== '0')
      process.stderr.write(`QEMU ended (${how}): ${await guest.errors()}\n`);
  });
  const { client } = await connectSocket(`${guest.directory}/monitor.sock`);
  if (options.incoming !== true)
    await waitForHeartbeats(guest.serialPath, (found) => found.length >= beats, 90_000);
  return { ...guest, options, monitor: client };
}

/** A QEMU like `guest`'s that waits for a restore. */
export async function twin(guest: TestGuest, more: Partial<GuestOptions> = {}): Promise<TestGuest> {
  return boot({ ...guest.options, incoming: true, ...more });
}

export async function stopGuests(): Promise<void> {
  for (const guest of running) await guest.stop();
  running.clear();
}

export async function isRunning(guest: TestGuest): Promise<boolean> {
  return (await guest.monitor.execute<{ running: boolean }>('query-status')).running;
}

/** Waits until each worker of the guest has beaten `count` times more. */
export async function beatsMore(guest: TestGuest, count = 2): Promise<Heartbeat[]> {
  const before = await readHeartbeats(guest.serialPath);
  return waitForHeartbeats(guest.serialPath, (beats) =>
    workers(beats).every((name) => counted(beats, name) >= counted(before, name) + count),
  );
}

/**
 * The proof of a restore: the twin's heartbeats, from its first, are those that the original printed, none is
 * corrupt, and every worker beats.
 */
export async function proveTwin(original: TestGuest, restored: TestGuest): Promise<void> {
  const names = workers(await readHeartbeats(original.serialPath));
  const beats = await waitForHeartbeats(restored.serialPath, (found) =>
    names.every((name) => counted(found, name) >= 3),
  );
  // Each worker has a rate of its own.
  const latest = (name: string): number =>
    Math.max(...beats.filter((beat) => beat.name === name).map(({ beat }) => beat));
  const truth = await waitForHeartbeats(original.serialPath, (found) =>
    names.every((name) => found.some((beat) => beat.name === name && beat.beat >= latest(name))),
  );
  const sums = new Map(truth.map(({ name, beat, sum }) => [`${name} ${beat}`, sum]));
  for (const { name, beat, sum, intact } of beats) {
    if (!intact) throw new Error(`worker ${name} found its memory corrupt at beat ${beat}`);
    if (sums.get(`${name} ${beat}`) !== sum)
      throw new Error(`worker ${name} differs from the original at beat ${beat}`);
  }
}

/** Restores a checkpoint into a QEMU like the guest's, which then must go on from there as the guest did. */
export async function proveRestored(guest: TestGuest, kept: KeptCheckpoint): Promise<void> {
  const target = await twin(guest);
  await hypervisor.restore(target.qmpPath, kept);
  await proveTwin(guest, target);
}

/** A machine with the oracle's memory beside it. */
export class Protected {
  readonly memory: OracleMemory;

  constructor(readonly machine: Machine) {
    this.memory = new OracleMemory(machine.info);
  }

  async capture(): Promise<Harvest> {
    const harvest = await this.machine.capture(this.memory);
    await harvest.commit();
    return harvest;
  }

  async keep(): Promise<KeptCheckpoint> {
    return this.memory.keep(this.machine.info, (await this.capture()).deviceState);
  }
}

function workers(beats: readonly Heartbeat[]): string[] {
  return [...new Set(beats.map(({ name }) => name))];
}

function counted(beats: readonly Heartbeat[], name: string): number {
  return beats.filter((beat) => beat.name === name).length;
}
