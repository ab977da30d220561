import type { Argument } from './arguments.js';
import { OptionList } from './option-list.js';
import { hasDefaultCard, wayTo, type Reach } from './reach.js';
import { kindOf, userNetwork } from './user-network.js';

/**
 * Network cards that lead nowhere, or to one port of the guest only, and are what the guest knows. What was behind a tap
 * must be one again, as their guests may use its headers, which no other back-end has: it joins no bridge, and nobody
 * brings it up. A user network is one again, too. Errors: those of `wayTo`.
 */
export function cutNetwork(list: readonly Argument[], reach?: Reach): Argument[] {
  const way = reach && { at: wayTo(list, reach), port: reach.port };
  let count = 1000;
  const backEnd = (argument: Argument): BackEnd => {
    const given = OptionList.parse(argument.value ?? '');
    const number = count++;
    const port = way?.at === argument ? way.port : undefined;
    return { given, number, id: given.get('id') ?? `net${number}`, port };
  };
  const changed = list.flatMap((argument): Argument[] => {
    if (argument.name === 'netdev') return [{ name: 'netdev', value: cut(backEnd(argument)) }];
    if (argument.name === 'nic') return cutCard(argument, backEnd);
    if (argument.name !== 'net') return [argument];
    const given = OptionList.parse(argument.value ?? '');
    const kind = kindOf(given);
    // The card stays at a hub that nothing else is joined to, but for the user network that was.
    if (kind === 'nic' || kind === 'none') return [argument];
    const port = way?.at === argument ? way.port : undefined;
    return kind === 'user' ? [{ name: 'net', value: userNetwork(given, given.get('id'), port) }] : [];
  });
  const hasDefaults = hasDefaultCard(list);
  if (hasDefaults) changed.push({ name: 'net', value: 'nic' });
  if (hasDefaults || (way && !way.at))
    changed.push({ name: 'net', value: userNetwork(OptionList.parse(''), undefined, way?.port) });
  return changed;
}

interface BackEnd {
  readonly given: OptionList;
  readonly number: number;
  readonly id: string;
  /** What it leads to. */
  readonly port: Reach['port'] | undefined;
}

function cut({ given, number, id, port }: BackEnd): string {
  const kind = kindOf(given);
  if (port || kind === 'user') return userNetwork(given, id, port);
  if (kind !== 'tap' && kind !== 'bridge') return `hubport,id=${id},hubid=${number}`;
  const queues = given.get('queues');
  return `tap,id=${id},script=no,downscript=no${queues === undefined ? '' : `,queues=${queues}`}`;
}

const OF_THE_CARD = new Set(['mac', 'model', 'addr', 'vectors']);

/** `-nic` is a card and its back-end in one, and takes no hub: it becomes the two. */
function cutCard(argument: Argument, backEnd: (argument: Argument) => BackEnd): Argument[] {
  const behind = backEnd(argument);
  const { given, id } = behind;
  if (given.first === 'none') return [argument];
  const card = new Set(given.keys.filter((key) => OF_THE_CARD.has(key)));
  const model = given.get('model');
  const netdev = { name: 'netdev', value: cut(behind) };
  if (model === undefined) {
    // The board's own kind of card.
    const mac = given.get('mac');
    const address = mac === undefined ? '' : `,macaddr=${mac}`;
    const isUser = netdev.value.startsWith('user,');
    return [
      ...(isUser ? [netdev] : []),
      { name: 'net', value: `nic${isUser ? `,netdev=${id}` : ''}${address}` },
    ];
  }
  const device = OptionList.parse(model === 'virtio' ? 'virtio-net-pci' : model);
  for (const key of card) if (key !== 'model') device.set(key, given.get(key)!);
  return [netdev, { name: 'device', value: device.set('netdev', id).toString() }];
}
