import { FitdocError, PAGE_SIZE, type Json, type MachineInfo } from '@fitdoc/interface';
import type { Description } from '../machine/describe.js';
import type { QmpClient } from '../qmp/client.js';
import { compareCpuFlags } from './check-cpu.js';
import { compareDevices } from './check-devices.js';
import type { Findings, Target } from './findings.js';

/**
 * MACHINE_INCOMPATIBLE, naming every difference, when a checkpoint of `info` cannot run in the target. Gives
 * notes on what differs and does not forbid it.
 */
export function checkTarget(info: MachineInfo, target: Target): string[] {
  const { platform } = info;
  const found: Findings = { differences: [], notes: [] };
  const { differences, notes } = found;
  const compare = (what: string, wanted: Json | undefined, present: Json): void => {
    if (wanted !== undefined && wanted !== present)
      differences.push(`${what}: ${show(wanted)} wanted, ${show(present)} there`);
  };
  if (info.scheme !== 'kvm') differences.push(`hypervisor: the checkpoint was taken through ${info.scheme}:`);
  compare('architecture', info.architecture, target.architecture);
  compare('machine type', platform['machineType'], target.machineType);
  compare('accelerator', platform['accelerator'], target.accelerator);
  compare('CPUs', platform['cpus'], target.cpus);
  compare('CPU model', platform['cpuModel'], target.cpuModel);
  compare('memory in bytes', platform['memoryBytes'], target.memoryBytes);
  if (isOlder(target.qemu.text, platform['qemuVersion']))
    notes.push(
      `QEMU ${target.qemu.text} is older than the checkpoint's ${show(platform['qemuVersion']!)}: it loads what it knows of this machine type.`,
    );
  if (platform['cpuModel'] === target.cpuModel) compareCpuFlags(platform['cpuFlags'], target.cpuFlags, found);
  compareDevices(platform, target, found);
  if (target.blocks !== undefined) differences.push(...blockDifferences(info, target.blocks));
  if (differences.length === 0) return notes;
  throw new FitdocError('MACHINE_INCOMPATIBLE', `The waiting QEMU differs: ${differences.join('; ')}.`, {
    hint: 'Start it with the options of the original, the versioned machine type included, and -incoming defer.',
    details: { differences },
  });
}

/**
 * Sizes of a QEMU's RAM blocks by name, as they can be (a block of device tables may grow). Undefined when
 * this QEMU does not tell.
 */
export async function readBlocks(
  qmp: QmpClient,
  signal?: AbortSignal,
): Promise<Map<string, number> | undefined> {
  const told = await qmp
    .execute<{ 'human-readable-text': string }>('x-query-ramblock', {}, { signal })
    .catch(() => undefined);
  if (told === undefined) return undefined;
  const blocks = new Map<string, number>();
  const line = /^\s*(\S+)\s+\d+ \w+\s+0x[0-9a-f]+\s+0x[0-9a-f]+\s+0x([0-9a-f]+)/gm;
  for (const [, name, total] of told['human-readable-text'].matchAll(line))
    blocks.set(name!, parseInt(total!, 16));
  return blocks.size === 0 ? undefined : blocks;
}

/** Which of the device types that a checkpoint has, and this machine not, its QEMU knows all the same. */
export async function knownTypes(
  qmp: QmpClient,
  { platform }: MachineInfo,
  { devices }: Description,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const wanted = Array.isArray(platform['devices']) ? platform['devices'].map(String) : [];
  const known = new Set<string>();
  // One by one: QEMU answers for all types only when it has loaded its modules, and dies if they are another build's.
  for (const typename of new Set(wanted.filter((type) => !devices.all.includes(type)))) {
    const listed = await qmp
      .execute('device-list-properties', { typename }, { signal })
      .catch(() => undefined);
    if (listed !== undefined) known.add(typename);
  }
  return known;
}

function blockDifferences({ regions }: MachineInfo, blocks: ReadonlyMap<string, number>): string[] {
  const found: string[] = [];
  for (const { name, pages, kind } of regions) {
    const size = blocks.get(name);
    const wanted = pages * PAGE_SIZE;
    if (size === undefined) found.push(`RAM block ${name} is missing`);
    else if (size < wanted || (kind === 'ram' && size !== wanted))
      found.push(`RAM block ${name}: ${wanted} bytes wanted, ${size} there`);
  }
  for (const name of blocks.keys())
    if (!regions.some((region) => region.name === name))
      found.push(`RAM block ${name} is not in the checkpoint`);
  return found;
}

function isOlder(present: string, wanted: Json | undefined): boolean {
  if (typeof wanted !== 'string') return false;
  const [a, b] = [present, wanted].map((version) => version.split('.').map(Number));
  return a![0]! < b![0]! || (a![0] === b![0] && a![1]! < b![1]!);
}

function show(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
