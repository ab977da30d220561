import { join } from 'node:path';
import { FitdocError } from '@fitdoc/interface';
import type { Argument } from './arguments.js';
import { OptionList } from './option-list.js';

/** What only one process can have: monitors, files of its own, the way in which it was started. */
const DROPPED = new Set(
  (
    'qmp qmp-pretty mon monitor daemonize pidfile incoming loadvm S D d trace writeconfig gdb s add-fd runas chroot ' +
    'run-with xen-attach only-migratable'
  ).split(' '),
);
/** Legacy spellings of a character device that lead somewhere, as the value of `-serial` and its like. */
const LEADS_SOMEWHERE = /^(stdio|mon:|pty|unix:|tcp:|telnet:|websocket:|udp:|file:|pipe:|\/dev\/|vc|con:)/;
const TO_FILE = new Set([
  'stdio',
  'pty',
  'file',
  'pipe',
  'serial',
  'tty',
  'parallel',
  'parport',
  'udp',
  'vc',
  'console',
]);
const ADDRESS = [
  'host',
  'port',
  'to',
  'ipv4',
  'ipv6',
  'fd',
  'telnet',
  'tn3270',
  'websocket',
  'tls-creds',
  'tls-authz',
];
const HANDED_OVER = /(?:^|[,{"])(?:vhost)?fds?"?[=:]"?\d|\/dev\/fdset\//;

export interface Moved {
  readonly list: readonly Argument[];
  /** Files that hold what the guest writes to its consoles. */
  readonly consoles: readonly string[];
}

/** A recorded command for a second process beside the first: its sockets and files are others, in `directory`. */
export function moveAside(recorded: readonly Argument[], directory: string): Moved {
  const consoles: string[] = [];
  const console_ = (name: string): string => {
    consoles.push(join(directory, `${name.replace(/[^\w.-]/g, '_')}.log`));
    return consoles.at(-1)!;
  };
  const move = (argument: Argument): Argument[] => {
    const { name, value = '' } = argument;
    if (DROPPED.has(name)) return [];
    if (name === 'serial' || name === 'parallel' || name === 'debugcon')
      return [
        LEADS_SOMEWHERE.test(value)
          ? { name, value: `file:${console_(`${name}${consoles.length}`)}` }
          : argument,
      ];
    if (name === 'chardev') return [{ name, value: movedDevice(value, directory, console_) }];
    // Its console was a terminal, which there is none of.
    if (name === 'nographic') return [{ name: 'display', value: 'none' }];
    if (name === 'display') return [{ name, value: /^(none|egl-headless)/.test(value) ? value : 'none' }];
    if (name === 'vnc')
      return value === 'none' ? [argument] : [{ name, value: `unix:${join(directory, 'vnc.sock')}` }];
    if (name === 'spice')
      return [{ name, value: `unix=on,addr=${join(directory, 'spice.sock')},disable-ticketing=on` }];
    return [argument];
  };
  const list = recorded.flatMap(move);
  return { list: [...list, { name: 'monitor', value: 'none' }], consoles };
}

function movedDevice(value: string, directory: string, console_: (name: string) => string): string {
  const list = OptionList.parse(value);
  const id = list.get('id') ?? 'chardev';
  const kind = list.first ?? list.get('backend') ?? '';
  list.delete('logfile', 'logappend');
  if (TO_FILE.has(kind)) {
    const mux = list.get('mux');
    return `file,id=${id},path=${console_(id)}${mux === undefined ? '' : `,mux=${mux}`}`;
  }
  const serves = list.get('server') ?? (list.keys.includes('server') ? 'on' : 'off');
  if (kind !== 'socket' || serves === 'off' || serves === 'no') return list.toString();
  list.delete(...ADDRESS, 'server', 'nowait', 'wait', 'path', 'abstract', 'tight');
  return list
    .set('path', join(directory, `${id.replace(/[^\w.-]/g, '_')}.sock`))
    .set('server', 'on')
    .set('wait', 'off')
    .toString();
}

/** ARGUMENT_INVALID for options with descriptors that only the original's parent had. */
export function assertNoDescriptors(list: readonly Argument[]): void {
  const handed = list.filter(({ value = '' }) => HANDED_OVER.test(value));
  if (handed.length === 0) return;
  const shown = handed.map(({ name, value }) => `-${name} ${value}`);
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `The original was handed open files by whoever started it: ${shown.join('; ')}.`,
    { hint: 'Give these options with paths or names of their own, behind --.', details: { handed: shown } },
  );
}
