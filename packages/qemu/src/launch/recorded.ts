import { readFile, readlink } from 'node:fs/promises';
import type { MachineCommand, MachineOrigin } from '@fitdoc/interface';
import { property } from '../machine/devices.js';
import type { QmpClient } from '../qmp/client.js';
import { parseArguments, splitProgram } from './arguments.js';
import { withoutSecrets } from './secrets.js';

/** Bytes and words of a command beyond which it is not kept: what the format takes. */
const MOST_BYTES = 100 << 10;
const MOST_WORDS = 4000;

/** Id of the object within QEMU that holds whose checkpoint it began as: it does nothing, and no guest sees it. */
export const ORIGIN_OBJECT = 'fitdoc-origin';

/**
 * How the process was started that a monitor speaks for; undefined where it is in a name space or of a user that is
 * out of our sight. A thread's command line is its process's.
 */
export async function readCommand(qmp: QmpClient): Promise<MachineCommand | undefined> {
  const cpus = await qmp.execute<readonly { 'thread-id'?: number }[]>('query-cpus-fast');
  const thread = cpus[0]?.['thread-id'];
  if (thread === undefined) return undefined;
  try {
    const words = (await readFile(`/proc/${thread}/cmdline`, 'utf8')).split('\0').slice(0, -1);
    const directory = await readlink(`/proc/${thread}/cwd`);
    if (!isQemu(words)) return undefined;
    return fitting({ words: withoutSecrets(words), ...(directory.length < 4096 && { directory }) });
  } catch {
    return undefined;
  }
}

/** Whose checkpoint a QEMU began as: a fork carries that with it. */
export async function readOrigin(qmp: QmpClient): Promise<MachineOrigin | undefined> {
  const text = await property(qmp, `/objects/${ORIGIN_OBJECT}`, 'identity');
  const [, machine, state] =
    /^([A-Za-z0-9._-]{1,64})\/([0-9a-f]{64})$/.exec(typeof text === 'string' ? text : '') ?? [];
  return machine === undefined || state === undefined ? undefined : { machine, state };
}

/** In another name space the number may be that of any process. */
function isQemu(words: readonly string[]): boolean {
  const { program, options } = splitProgram(words);
  return (
    /qemu|kvm/.test(program.at(-1) ?? '') &&
    parseArguments(options).some(({ name }) => /^(qmp|mon)/.test(name))
  );
}

function fitting(command: MachineCommand): MachineCommand | undefined {
  const bytes = command.words.reduce((sum, word) => sum + Buffer.byteLength(word), 0);
  return bytes > MOST_BYTES || command.words.length > MOST_WORDS ? undefined : command;
}
