import { shellWord } from '../output/shell-word.js';
import { secretWords } from '../secrets/index.js';
import { storeLocation } from '../session.js';
import type { LazyOptions } from './options.js';

interface Given extends LazyOptions {
  readonly set?: readonly string[];
}

/** The command that goes on with a lazy restore: all that it needs of the options of this one. */
export function resumeLine(id: string, options: Given): string {
  const { to, also, set = [] } = options;
  const words = ['fitdoc', 'restore', id, '--resume', '--to', to, '--store', storeLocation(options)];
  if (also !== undefined) words.push('--also', also);
  for (const pair of set) words.push('--set', pair);
  return [...words, ...secretWords(options)].map(shellWord).join(' ');
}
