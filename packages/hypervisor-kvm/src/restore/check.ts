import { FitdocError, PAGE_SIZE, type Json, type MachineInfo } from '@fitdoc/interface';
import type { Description } from '../machine/describe.js';
import type { QmpClient } from '../qmp/client.js';

/** MACHINE_INCOMPATIBLE, naming every difference, when a checkpoint of `info` cannot run in the target. */
export function checkTarget(
  info: MachineInfo,
  target: Description,
  blocks: ReadonlyMap<string, number> | undefined,
): void {
  const { platform } = info;
  const found: string[] = [];
  const compare = (what: string, wanted: Json | undefined, present: Json): void => {
    if (wanted !== undefined && wanted !== present)
      found.push(`${what}: ${show(wanted)} wanted, ${show(present)} there`);
  };
  if (info.scheme !== 'kvm') found.push(`hypervisor: the checkpoint was taken through ${info.scheme}:`);
  compare('architecture', info.architecture, target.architecture);
  compare('machine type', platform['machineType'], target.machineType);
  compare('accelerator', platform['accelerator'], target.accelerator);
  compare('CPUs', platform['cpus'], target.cpus);
  compare('CPU model', platform['cpuModel'], target.cpuModel);
  compare('memory in bytes', platform['memoryBytes'], target.memoryBytes);
  if (isOlder(target.qemu.text, platform['qemuVersion']))
    compare('QEMU', platform['qemuVersion'], target.qemu.text);
  found.push(...deviceDifferences(platform['devices'], target.devices));
  if (blocks !== undefined) found.push(...blockDifferences(info, blocks));
  if (found.length === 0) return;
  throw new FitdocError('MACHINE_INCOMPATIBLE', `The waiting QEMU differs: ${found.join('; ')}.`, {
    hint: 'Start it with the options of the original, the versioned machine type included, and -incoming defer.',
    details: { differences: found },
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

function deviceDifferences(wanted: Json | undefined, present: readonly string[]): string[] {
  if (!Array.isArray(wanted)) return [];
  const left = [...present];
  const missing = (wanted as readonly string[]).filter((device) => {
    const index = left.indexOf(device);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
  return [
    ...missing.map((device) => `device ${device} is missing`),
    ...left.map((device) => `device ${device} is not in the checkpoint`),
  ];
}

function isOlder(present: string, wanted: Json | undefined): boolean {
  if (typeof wanted !== 'string') return false;
  const [a, b] = [present, wanted].map((version) => version.split('.').map(Number));
  return a![0]! < b![0]! || (a![0] === b![0] && a![1]! < b![1]!);
}

function show(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
