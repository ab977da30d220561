import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FitdocError, type LaunchOptions, type MachineInfo } from '@fitdoc/interface';
import { parseArguments, splitProgram, wordsOf, type Argument } from './arguments.js';
import { placeDisks } from './disks.js';
import { identify, mapMemory } from './identity.js';
import { ownMemory } from './memory.js';
import { mergeArguments } from './merge.js';
import { assertNoDescriptors, moveAside } from './moved.js';
import { cutNetwork } from './network.js';
import { OptionList } from './option-list.js';
import { assertForwarded } from './reach.js';
import { assertWhole } from './secrets.js';

/** A command that is ready to run. */
export interface Composed {
  readonly words: readonly string[];
  /** Undefined: our own. */
  readonly directory: string | undefined;
  /** The QMP socket that it opens. */
  readonly qmp: string;
  readonly consoles: readonly string[];
  /** The socket of the channel to the agent in the guest, where there is one. */
  readonly agent: string | undefined;
  /** A port of the guest that is reached from here. */
  readonly reached: number | undefined;
}

/**
 * Makes the command of a machine like the checkpoint's that waits to be brought back. Errors: ARGUMENT_INVALID,
 * CAPABILITY_MISSING (a port that cannot be reached).
 */
export async function compose(info: MachineInfo, options: LaunchOptions): Promise<Composed> {
  const { changed = [], directory, identity = {}, memoryFile } = options;
  const reach = options.reach && { machine: info.name, port: options.reach };
  const cut = options.network === 'cut' ? (given: readonly Argument[]) => cutNetwork(given, reach) : same;
  const { program, list, consoles, from } = await begin(info, changed, directory, cut);
  if (reach) assertForwarded(list, reach);
  let made = await placeDisks(list, {
    disks: info.disks,
    images: options.images ?? [],
    overlays: options.disks === 'overlays',
    directory,
    from: from ?? process.cwd(),
  });
  made = identify(made, identity);
  if (memoryFile !== undefined) made = mapMemory(made, info, memoryFile);
  const words = [...program, ...wordsOf(made)];
  assertWhole(words);
  assertNoDescriptors(made);
  const qmp = join(directory, 'qmp.sock');
  const ours = ['-qmp', `unix:${qmp},server=on,wait=off`, '-incoming', 'defer'];
  return {
    words: [...words, ...ours, ...(options.paused ? ['-S'] : [])],
    directory: from,
    qmp,
    consoles,
    agent: agentOf(made),
    reached: reach?.port.port,
  };
}

interface Begun {
  readonly program: readonly string[];
  readonly list: readonly Argument[];
  readonly consoles: readonly string[];
  readonly from: string | undefined;
}

/** What stands in a whole command is the caller's; of a recorded one, what only the original can have is moved. */
async function begin(
  info: MachineInfo,
  changed: readonly string[],
  directory: string,
  cut: (list: readonly Argument[]) => readonly Argument[],
): Promise<Begun> {
  if (changed[0] !== undefined && !changed[0].startsWith('-')) {
    const { program, options } = splitProgram(changed);
    const list = parseArguments(options).filter(({ name }) => !STARTS.has(name));
    return { program, list: cut(list), consoles: consolesOf(list), from: undefined };
  }
  if (!info.command) throw unrecorded();
  const { program, options } = splitProgram(info.command.words);
  const { list, consoles } = moveAside(parseArguments(options), directory);
  const from = info.command.directory;
  return {
    program,
    // Before the caller's own: what those lead to is the caller's will.
    list: mergeArguments(cut(await ownMemory(list, info)), parseArguments(changed)),
    consoles,
    from: from !== undefined && existsSync(from) ? from : undefined,
  };
}

function same(list: readonly Argument[]): readonly Argument[] {
  return list;
}

/** How a command begins is said by us. */
const STARTS = new Set(['incoming', 'daemonize', 'S', 'loadvm']);

function consolesOf(list: readonly Argument[]): string[] {
  return list.flatMap(({ name, value = '' }) => {
    if (name === 'serial' && value.startsWith('file:')) return [value.slice('file:'.length)];
    const device = name === 'chardev' ? OptionList.parse(value) : undefined;
    return device?.first === 'file' ? (device.get('path') ?? []) : [];
  });
}

function agentOf(list: readonly Argument[]): string | undefined {
  const port = list.find(
    ({ name, value = '' }) => name === 'device' && value.includes('org.qemu.guest_agent.0'),
  );
  const id = port?.value === undefined ? undefined : OptionList.parse(port.value).get('chardev');
  const device = list.find(
    ({ name, value = '' }) => name === 'chardev' && OptionList.parse(value).get('id') === id,
  );
  return device?.value === undefined ? undefined : OptionList.parse(device.value).get('path');
}

function unrecorded(): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', 'The checkpoint does not tell how its machine was started.', {
    hint: 'It was taken by an earlier fitdoc, or from another host. Give the whole command: -- qemu-system-x86_64 …',
  });
}
