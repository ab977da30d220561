import type { Json } from './call.js';
import type { DiskInfo } from './disk.js';
import type { MemoryRegion } from './memory.js';

/** How a machine was started, as it was found when somebody attached to it; secrets are left out. */
export interface MachineCommand {
  /** The program and its arguments. What stood in place of `***` was a secret. */
  readonly words: readonly string[];
  /** The directory that relative paths in it are meant from. */
  readonly directory?: string;
}

/** Whose checkpoint a machine began as. */
export interface MachineOrigin {
  /** Id of the machine whose checkpoint it was. */
  readonly machine: string;
  /** Content hash of the state. */
  readonly state: string;
}

/** What a machine is, as recorded in every checkpoint and checked by a restore. */
export interface MachineInfo {
  /** Identity across restarts of the guest's host process; names the chain. 1-64 of `A-Z a-z 0-9 . _ -`. */
  readonly id: string;
  /** Name for people. */
  readonly name: string;
  /** The hypervisor's product and version: `qemu 7.2.22`, `xen 4.17`, `mock`. */
  readonly hypervisor: string;
  /** The scheme of the adapter that captured it and can restore it. */
  readonly scheme: string;
  readonly architecture: 'x86_64' | 'aarch64' | 'riscv64';
  readonly regions: readonly MemoryRegion[];
  /** What a restore compares before it touches anything: machine type, devices, CPU model. */
  readonly platform: Readonly<Record<string, Json>>;
  readonly disks: readonly DiskInfo[];
  /** How it was started, where that could be seen. */
  readonly command?: MachineCommand;
  /** Whose checkpoint it began as, where it is a fork. */
  readonly origin?: MachineOrigin;
}
