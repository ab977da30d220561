import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskOracle } from '@fitdoc/compliance/hypervisor';
import type { Harvest, Machine } from '@fitdoc/interface';
import {
  buildDiskInitramfs,
  diskArguments,
  provedDisks,
  type GuestDisk,
} from '../../../../tools/lab/src/qemu/index.js';
import { hypervisor } from './hypervisor.js';
import { OracleMemory, type KeptCheckpoint } from './oracle.js';
import { boot, type GuestOptions, type TestGuest } from './real.js';

/** A machine of one instant: its memory, and its disks by name. */
export interface KeptMachine {
  readonly memory: KeptCheckpoint;
  readonly disks: ReadonlyMap<string, Uint8Array>;
}

const directories: string[] = [];

/** A directory of the test's. `removeDirectories` removes it. */
export async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'fitdoc-disks-'));
  directories.push(made);
  return made;
}

export async function removeDirectories(): Promise<void> {
  for (const made of directories.splice(0)) await rm(made, { recursive: true });
}

/** Boots a Linux guest whose disks and memory prove each other. */
export async function bootProving(
  disks: readonly GuestDisk[],
  { extraArgs = [], ...more }: Partial<GuestOptions> = {},
): Promise<TestGuest> {
  const guest = await boot({
    accel: 'tcg',
    initramfs: await buildDiskInitramfs(),
    commandLine: provedDisks(disks),
    heart: { mib: 2, pages: 20 },
    extraArgs: [...diskArguments(disks), ...extraArgs],
    ...more,
  });
  return guest;
}

/** A machine with what the test makes of its captures beside it. */
export class ProtectedMachine {
  readonly memory: OracleMemory;
  readonly disks = new DiskOracle();

  constructor(readonly machine: Machine) {
    this.memory = new OracleMemory(machine.info);
  }

  /** Takes a capture and commits it. */
  async capture(): Promise<Harvest> {
    const harvest = await this.machine.capture(this.memory);
    await this.disks.apply(harvest);
    await harvest.commit();
    return harvest;
  }

  async keep(): Promise<KeptMachine> {
    const { deviceState } = await this.capture();
    const read = [...this.disks.disks].map(([name, disk]) => [name, disk.read(0, disk.sizeBytes)] as const);
    return { memory: this.memory.keep(this.machine.info, deviceState), disks: new Map(read) };
  }
}

/** A QEMU like `guest`'s, with raw images of these disks, that has loaded the memory and runs. */
export async function restored(
  guest: TestGuest,
  disks: readonly GuestDisk[],
  { memory, disks: contents }: KeptMachine,
): Promise<TestGuest> {
  const folder = await directory();
  const images: Record<string, string> = {};
  for (const [name, content] of contents) {
    images[name] = join(folder, `${name}.raw`);
    await writeFile(images[name], content);
  }
  const own = diskArguments(disks);
  const rest = (guest.options.extraArgs ?? []).slice(own.length);
  const extraArgs = [...diskArguments(disks, images), ...rest];
  const target = await boot({ ...guest.options, extraArgs, incoming: true });
  await hypervisor.restore(target.qmpPath, memory);
  return target;
}
