import { PAGE_SIZE, type MachineIdentity, type MachineInfo } from '@fitdoc/interface';
import type { Argument } from './arguments.js';
import { mergeArguments } from './merge.js';
import { OptionList } from './option-list.js';
import { ORIGIN_OBJECT } from './recorded.js';

/** Options that tell a machine from the one that it is a copy of. */
export function identify(list: readonly Argument[], identity: MachineIdentity): Argument[] {
  const { name, uuid, origin, newGenerationId = false } = identity;
  const changed: Argument[] = [
    ...(name === undefined ? [] : [{ name: 'name', value: named(list, name) }]),
    ...(uuid === undefined ? [] : [{ name: 'uuid', value: uuid }]),
  ];
  if (origin !== undefined) {
    const value = `authz-simple,id=${ORIGIN_OBJECT},identity=${origin.machine}/${origin.state}`;
    changed.push({ name: 'object', value });
  }
  const merged = mergeArguments(list, changed);
  return newGenerationId ? merged.map(generation) : merged;
}

/** Also a name that is shown for the process is its own. */
function named(list: readonly Argument[], name: string): string {
  const before = list.findLast((argument) => argument.name === 'name')?.value;
  const debug = before === undefined ? undefined : OptionList.parse(before).get('debug-threads');
  const value = OptionList.parse('').set('guest', name);
  return (debug === undefined ? value : value.set('debug-threads', debug)).toString();
}

function generation(argument: Argument): Argument {
  const { name, value = '' } = argument;
  if (name !== 'device') return argument;
  const device = OptionList.parse(value);
  if ((device.first ?? device.get('driver')) !== 'vmgenid') return argument;
  return { name, value: device.set('guid', 'auto').toString() };
}

/** Has main memory be a private mapping of a file: the block keeps its name, by which the stream knows it. */
export function mapMemory(list: readonly Argument[], info: MachineInfo, file: string): Argument[] {
  const block = typeof info.platform['mainRam'] === 'string' ? info.platform['mainRam'] : '';
  const id = block.replace(/^\/objects\//, '');
  const pages = info.regions.find(({ name }) => name === block)?.pages ?? 0;
  const isBackend = ({ name, value = '' }: Argument): boolean =>
    name === 'object' && OptionList.parse(value).get('id') === id;
  const before = list.find(isBackend);
  const backend = OptionList.parse('memory-backend-file')
    .set('id', id)
    .set('size', String(pages * PAGE_SIZE));
  backend.set('mem-path', file).set('share', 'off');
  if (before?.value !== undefined) keep(OptionList.parse(before.value), backend);
  else backend.set('x-use-canonical-path-for-ramblock-id', block.startsWith('/objects/') ? 'on' : 'off');
  const merged = mergeArguments(
    list.filter(({ name }) => name !== 'mem-path' && name !== 'mem-prealloc'),
    [{ name: 'object', value: backend.toString() }],
  );
  if (before) return merged;
  const hasMachine = merged.some(({ name }) => name === 'machine' || name === 'M');
  if (!hasMachine) return [...merged, { name: 'machine', value: `memory-backend=${id}` }];
  return merged.map((argument) => backed(argument, id));
}

const KEPT = ['x-use-canonical-path-for-ramblock-id', 'dump', 'merge', 'host-nodes', 'policy'];

function keep(from: OptionList, to: OptionList): void {
  for (const key of KEPT) {
    const value = from.get(key);
    if (value !== undefined) to.set(key, value === 'true' ? 'on' : value === 'false' ? 'off' : value);
  }
}

function backed(argument: Argument, id: string): Argument {
  const { name, value = '' } = argument;
  if (name !== 'machine' && name !== 'M') return argument;
  return { name, value: OptionList.parse(value).set('memory-backend', id).toString() };
}
