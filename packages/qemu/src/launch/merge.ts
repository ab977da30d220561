import { OptionList } from './option-list.js';
import type { Argument } from './arguments.js';

/** Options of which the last counts. */
const SINGLE = new Set(
  (
    'name uuid m smp cpu machine accel kernel initrd append dtb bios display vnc vga rtc boot k sandbox run-with L D d ' +
    'loadvm monitor overcommit'
  ).split(' '),
);
const ALIASES: Readonly<Record<string, string>> = { M: 'machine', 'enable-kvm': 'accel' };

/** What of an option tells it from others of its name. */
const KEYS: Readonly<Record<string, string>> = {
  netdev: 'id',
  device: 'id',
  drive: 'id',
  chardev: 'id',
  object: 'id',
  blockdev: 'node-name',
  nic: 'id',
  audiodev: 'id',
};

/** Puts options in the place of those that they contradict, each where that stood; others come behind all. */
export function mergeArguments(recorded: readonly Argument[], changed: readonly Argument[]): Argument[] {
  const list = [...recorded];
  for (const argument of changed) {
    const same = identityOf(argument);
    const at = same === undefined ? -1 : list.findIndex((other) => identityOf(other) === same);
    if (at < 0) list.push(argument);
    else list[at] = argument;
  }
  return list;
}

function identityOf({ name, value }: Argument): string | undefined {
  const single = ALIASES[name] ?? name;
  if (SINGLE.has(single)) return single;
  const key = KEYS[name];
  const id = key === undefined || value === undefined ? undefined : OptionList.parse(value).get(key);
  return id === undefined ? undefined : `${name} ${id}`;
}
