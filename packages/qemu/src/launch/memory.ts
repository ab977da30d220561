import { stat } from 'node:fs/promises';
import type { MachineInfo } from '@fitdoc/interface';
import type { Argument } from './arguments.js';
import { OptionList } from './option-list.js';

/**
 * Memory of a recorded command in no file of the original's: where it is shared, the original would lose its own, and
 * what is in a file stays where a checkpoint has zeros. A directory (of huge pages) only says where files are made.
 */
export async function ownMemory(list: readonly Argument[], info: MachineInfo): Promise<Argument[]> {
  const found: Argument[] = [];
  for (const argument of list) {
    const { name, value = '' } = argument;
    if (name === 'mem-path' && !(await isDirectory(value))) continue;
    if (name !== 'object') found.push(argument);
    else found.push({ name, value: await backend(value, info) });
  }
  return found;
}

const OF_FILES = [
  'qom-type',
  'mem-path',
  'discard-data',
  'align',
  'offset',
  'pmem',
  'readonly',
  'rom',
  'share',
];

async function backend(value: string, { regions }: MachineInfo): Promise<string> {
  const given = OptionList.parse(value);
  const kind = given.first ?? given.get('qom-type');
  const path = given.get('mem-path');
  const id = given.get('id');
  if (kind !== 'memory-backend-file' || path === undefined || id === undefined || (await isDirectory(path)))
    return value;
  const share = /^(on|true|yes)$/.test(given.get('share') ?? 'off');
  const made = OptionList.parse(share ? 'memory-backend-memfd,share=on' : 'memory-backend-ram');
  for (const key of given.keys) {
    const kept = given.get(key);
    if (kept !== undefined && !OF_FILES.includes(key)) made.set(key, kept);
  }
  // Files and memory name their blocks otherwise on some boards; the checkpoint tells how they were named.
  const canonical = regions.some(({ name }) => name === `/objects/${id}`);
  return made.set('x-use-canonical-path-for-ramblock-id', canonical).toString();
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
