import {
  MAX_PAGES,
  type DiskInfo,
  type Json,
  type MachineCommand,
  type MachineInfo,
  type MachineOrigin,
  type MemoryRegion,
} from '@fitdoc/interface';
import { Fields } from './fields.js';
import { LIMITS } from './limits.js';

const ARCHITECTURES = ['x86_64', 'aarch64', 'riscv64'] as const;
const REGION_KINDS = ['ram', 'rom', 'device'] as const;
const MACHINE_ID = /^[A-Za-z0-9._-]{1,64}$/;
const CONTENT_HASH = /^[0-9a-f]{64}$/;
const ADDRESS = /^0x(?:0|[1-9a-f][0-9a-f]{0,15})$/;

type Fail = (message: string) => Error;

/** A machine as JSON: like the interface's type, but a region's `gpa` is a hex text. */
export function machineToJson(machine: MachineInfo, fail: Fail): Json {
  const regions = machine.regions.map(({ gpa, ...region }) => ({
    firstGfn: region.firstGfn,
    pages: region.pages,
    kind: region.kind,
    name: region.name,
    ...(gpa === undefined ? {} : { gpa: `0x${gpa.toString(16)}` }),
  }));
  const disks = machine.disks.map((disk) => dropUndefined({ ...disk }));
  const { id, name, hypervisor, scheme, architecture, platform, command, origin } = machine;
  const more = dropUndefined({ command: command && dropUndefined({ ...command }), origin });
  const json = { id, name, hypervisor, scheme, architecture, platform, regions, disks, ...more } as Json;
  machineFromJson(json, fail);
  return json;
}

/** Reads and checks a machine: texts and lists within their caps, regions without gap, overlap or excess. */
export function machineFromJson(json: unknown, fail: Fail): MachineInfo {
  const fields = new Fields(json, 'The machine', fail);
  return {
    id: fields.text('id', MACHINE_ID),
    name: fields.text('name'),
    hypervisor: fields.text('hypervisor'),
    scheme: fields.text('scheme'),
    architecture: fields.oneOf('architecture', ARCHITECTURES),
    regions: regionsFromJson(fields.list('regions', LIMITS.regions), fail),
    platform: fields.record('platform'),
    disks: fields.list('disks', LIMITS.disks).map((disk) => diskFromJson(disk, fail)),
    ...(fields.has('command') && { command: commandFromJson(fields.raw('command'), fail) }),
    ...(fields.has('origin') && { origin: originFromJson(fields.raw('origin'), fail) }),
  };
}

function commandFromJson(json: unknown, fail: Fail): MachineCommand {
  const fields = new Fields(json, "The machine's command", fail);
  const words = fields.list('words', LIMITS.words);
  const texts = words.flatMap((word) => (typeof word === 'string' ? [word] : []));
  const bytes = texts.reduce((sum, word) => sum + Buffer.byteLength(word), 0);
  if (texts.length !== words.length || texts.length === 0 || bytes > LIMITS.command)
    throw fields.bad('words');
  const directory = fields.optionalText('directory');
  return { words: texts, ...(directory !== undefined && { directory }) };
}

function originFromJson(json: unknown, fail: Fail): MachineOrigin {
  const fields = new Fields(json, "The machine's origin", fail);
  return { machine: fields.text('machine', MACHINE_ID), state: fields.text('state', CONTENT_HASH) };
}

function regionsFromJson(list: readonly Json[], fail: Fail): MemoryRegion[] {
  let next = 0;
  return list.map((item) => {
    const fields = new Fields(item, 'A memory region', fail);
    const gpa = fields.optionalText('gpa', ADDRESS);
    const region: MemoryRegion = {
      name: fields.text('name'),
      firstGfn: fields.count('firstGfn'),
      pages: fields.count('pages'),
      kind: fields.oneOf('kind', REGION_KINDS),
      ...(gpa === undefined ? {} : { gpa: BigInt(gpa) }),
    };
    if (region.firstGfn !== next) throw fields.bad('firstGfn');
    next += region.pages;
    if (region.pages === 0 || next > MAX_PAGES) throw fields.bad('pages');
    return region;
  });
}

function diskFromJson(item: Json, fail: Fail): DiskInfo {
  const fields = new Fields(item, 'A disk', fail);
  return dropUndefined({
    name: fields.text('name'),
    writable: fields.flag('writable'),
    source: fields.optionalText('source'),
    format: fields.optionalText('format'),
    sizeBytes: fields.has('sizeBytes') ? fields.count('sizeBytes') : undefined,
    leftOut: fields.has('leftOut') ? fields.flag('leftOut') : undefined,
  }) as unknown as DiskInfo;
}

function dropUndefined(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
