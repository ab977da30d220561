import { shellWord } from '../output/shell-word.js';
import { storeLocation } from '../session.js';
import type { LazyOptions } from './options.js';

interface Given extends LazyOptions {
  readonly set?: readonly string[];
}

/**
 * The command that goes on with a lazy restore: all that it needs of the options of this one. A command that prints a
 * passphrase is not shown, for what may stand in it, nor is a descriptor, which is read to its end.
 */
export function resumeLine(id: string, options: Given): string {
  const { to, also, set = [], keyFile = [], passphraseFile = [], passphraseCommand, passphraseFd } = options;
  const words = ['fitdoc', 'restore', id, '--resume', '--to', to, '--store', storeLocation(options)];
  if (also !== undefined) words.push('--also', also);
  for (const pair of set) words.push('--set', pair);
  for (const file of keyFile) words.push('--key-file', file);
  for (const file of passphraseFile) words.push('--passphrase-file', file);
  if (passphraseCommand !== undefined) words.push('--passphrase-command', 'COMMAND');
  if (passphraseFd !== undefined) words.push('--passphrase-fd', 'NUMBER');
  return words.map(shellWord).join(' ');
}
