import { basename } from 'node:path';
import {
  FitdocError,
  PAGE_SIZE,
  type MachineCommand,
  type MachineInfo,
  type MachineOrigin,
  type MemoryRegion,
  type RegionKind,
} from '@fitdoc/interface';
import type { RamBlock } from '../stream/layout.js';
import type { StreamHeader } from '../stream/sections.js';
import type { Description } from './describe.js';
import type { Drives } from './disks.js';
import type { MappedRange } from './memory-map.js';

/** What else is known of a machine's memory and drives. */
export interface Equipment {
  readonly drives: Drives;
  /** Ids of the objects that back guest memory. */
  readonly memoryBackends: readonly string[];
  readonly memoryMap: readonly MappedRange[];
  readonly command?: MachineCommand | undefined;
  readonly origin?: MachineOrigin | undefined;
}

interface Identity {
  readonly machineId?: string | undefined;
  readonly location: string;
}

/** What a checkpoint records of a machine. */
export function machineInfo(
  description: Description,
  header: StreamHeader,
  { drives, memoryBackends, memoryMap, command, origin }: Equipment,
  { scheme, ...identity }: Identity & { readonly scheme: string },
): MachineInfo {
  const regions = header.blocks.map((block) => region(block, memoryBackends));
  const { name } = description;
  return {
    id: identityOf(description, identity),
    name: name ?? basename(identity.location).replace(/\.[^.]*$/, ''),
    hypervisor: `qemu ${description.qemu.text}`,
    scheme,
    architecture: architectureOf(description.architecture),
    regions,
    platform: {
      machineType: header.machineType || description.machineType,
      accelerator: description.accelerator,
      qemuVersion: description.qemu.text,
      cpus: description.cpus,
      cpuModel: description.cpuModel,
      cpuFlags: description.cpuFlags.join(' '),
      ...(description.cpuWords !== undefined && { cpuWords: description.cpuWords }),
      devices: [...description.devices.all],
      plugged: [...description.devices.plugged],
      macs: [...description.devices.macs],
      mainRam: mainRamOf(description, regions),
      memoryBytes: description.memoryBytes,
      memoryMap: memoryMap.map((range) => ({ ...range })),
      flash: drives.flash.map((each) => ({ ...each })),
    },
    disks: drives.disks,
    ...(command && { command }),
    ...(origin && { origin }),
  };
}

/** The region that holds the guest's main memory: the machine's backend, else the largest RAM block. */
function mainRamOf({ mainRam }: Description, regions: readonly MemoryRegion[]): string {
  const short = mainRam?.replace(/^\/objects\//, '');
  const named = regions.find(({ name }) => name === mainRam || name === short);
  const largest = [...regions].filter(({ kind }) => kind === 'ram').sort((a, b) => b.pages - a.pages)[0];
  return (named ?? largest ?? regions[0])?.name ?? '';
}

function region({ name, size, firstGfn }: RamBlock, backends: readonly string[]): MemoryRegion {
  return { name, firstGfn, pages: size / PAGE_SIZE, kind: kindOf(name, backends) };
}

function kindOf(name: string, backends: readonly string[]): RegionKind {
  const short = name.replace(/^\/objects\//, '');
  if (short === 'pc.ram' || backends.includes(short)) return 'ram';
  if (/^\/rom@|\.rom$|\.bios$|\.flash\d*$|^isa-bios$/.test(name)) return 'rom';
  // A block that a device owns is named after its place on a bus.
  return name.includes('/') || /vram/.test(name) ? 'device' : 'ram';
}

function identityOf({ uuid, name }: Description, { machineId, location }: Identity): string {
  if (machineId !== undefined) {
    if (/^[A-Za-z0-9._-]{1,64}$/.test(machineId)) return machineId;
    throw new FitdocError('ARGUMENT_INVALID', `"${machineId}" cannot be the identity of a machine.`, {
      hint: 'Use 1 to 64 letters, digits, dots, underscores and dashes.',
    });
  }
  const found = uuid ?? name ?? basename(location).replace(/\.(sock|qmp|socket)$/, '');
  return found.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 64) || 'qemu';
}

function architectureOf(target: string): MachineInfo['architecture'] {
  if (target === 'x86_64' || target === 'aarch64' || target === 'riscv64') return target;
  throw new FitdocError('CAPABILITY_MISSING', `Guests of the architecture ${target} cannot be kept.`, {
    hint: 'x86_64, aarch64 and riscv64 can.',
  });
}
