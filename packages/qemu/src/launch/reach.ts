import { FitdocError, type GuestPort } from '@fitdoc/interface';
import type { Argument } from './arguments.js';
import { OptionList } from './option-list.js';
import { kindOf } from './user-network.js';

/** A port of a machine that has to be reached. */
export interface Reach {
  /** Its name for people. */
  readonly machine: string;
  readonly port: GuestPort;
}

interface Card {
  /** The option that says what is behind it; undefined: the hub that `-net` joins all to. */
  readonly at: Argument | undefined;
  readonly kind: string;
  readonly model: string;
  readonly name: string;
}

/** What puts headers before packets, which virtio's cards then have in their state. */
const WITH_HEADERS = /^(tap|bridge|netmap|vhost-)/;

/**
 * The option in whose place a user network comes: that of the first card, whose model stays. Undefined: there is none,
 * and it comes beside the others. Errors: ARGUMENT_INVALID (no card, or no address is known), CAPABILITY_MISSING (a
 * card that a user network cannot stand behind).
 */
export function wayTo(list: readonly Argument[], { machine, port }: Reach): Argument | undefined {
  const [card] = cardsOf(list);
  if (!card)
    throw new FitdocError(
      'ARGUMENT_INVALID',
      `${machine} has no network card: no port of it can be reached.`,
      {
        hint: 'Try it by its console or by its guest agent.',
      },
    );
  if (hasHeaders(card))
    throw new FitdocError(
      'CAPABILITY_MISSING',
      `Port ${port.port} of ${machine} cannot be reached: its card ${card.name} (${card.model}) was behind a ${card.kind}, which puts headers before packets, and QEMU's user network has none.`,
      {
        hint: 'Try it by its console or by its guest agent. Cards as e1000e, and taps with vnet_hdr=off, have none.',
      },
    );
  if (port.address === undefined && card.kind !== 'user')
    throw new FitdocError('ARGUMENT_INVALID', `Which address ${machine} has is not known.`, {
      hint: `Give it before the port, with its network: 192.168.1.7/24:${port.port}.`,
    });
  return card.at;
}

function hasHeaders({ at, kind, model }: Card): boolean {
  const without = /^(off|false|no)$/.test(OptionList.parse(at?.value ?? '').get('vnet_hdr') ?? '');
  return model.startsWith('virtio') && WITH_HEADERS.test(kind) && !without;
}

/** ARGUMENT_INVALID where somebody else's options have taken the network's place. */
export function assertForwarded(list: readonly Argument[], { machine, port }: Reach): void {
  const leads = ({ name, value = '' }: Argument): boolean =>
    /^(net|nic|netdev)$/.test(name) && new RegExp(`hostfwd.*:${port.port}(?!\\d)`).test(value);
  if (list.some(leads)) return;
  throw new FitdocError(
    'ARGUMENT_INVALID',
    `Options behind -- take the place of the network by which port ${port.port} of ${machine} is reached.`,
    { hint: 'Leave out what is behind its first network card, or have it forward the port: hostfwd=….' },
  );
}

/** The network cards of a command, in the order in which they are named there. */
function cardsOf(list: readonly Argument[]): Card[] {
  if (hasDefaultCard(list)) return [{ at: undefined, kind: 'user', model: '', name: 'net' }];
  const given = (argument: Argument): OptionList => OptionList.parse(argument.value ?? '');
  const devices = list.filter(({ name }) => name === 'device' || name === 'net').map(given);
  return list.flatMap((argument): Card[] => {
    const values = given(argument);
    const kind = kindOf(values);
    const name = values.get('id') ?? argument.name;
    if (argument.name === 'nic')
      return kind === 'none' ? [] : [{ at: argument, kind, model: values.get('model') ?? '', name }];
    if (argument.name === 'netdev') {
      const card = devices.find((device) => device.get('netdev') === name);
      if (!card) return [];
      const model = card.first === 'nic' ? card.get('model') : (card.first ?? card.get('driver'));
      return [{ at: argument, kind, model: model ?? '', name }];
    }
    if (argument.name !== 'net' || kind !== 'nic' || values.get('netdev') !== undefined) return [];
    // The hub between it and what is behind it has no headers.
    const user = list.find((other) => other.name === 'net' && kindOf(given(other)) === 'user');
    return [{ at: user, kind: user ? 'user' : 'hub', model: values.get('model') ?? '', name }];
  });
}

/** Whether QEMU adds a card, and a user network behind it, by itself. */
export function hasDefaultCard(list: readonly Argument[]): boolean {
  return !list.some(({ name }) => /^(net|nic|netdev|nodefaults)$/.test(name));
}
