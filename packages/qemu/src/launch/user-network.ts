import type { GuestPort } from '@fitdoc/interface';
import type { OptionList } from './option-list.js';

/** Where a user network has its guest; the rest of what it was told leads out of it. */
const KEPT = ['net', 'host', 'dhcpstart'];
const DEFAULT_PREFIX = 24;

/** What stands behind a card: `user`, `tap`. Without a word it is the default, `user`. */
export function kindOf(given: OptionList): string {
  return given.first ?? given.get('type') ?? 'user';
}

/**
 * A user network that leads nowhere, or from a port of this host to one of the guest, and nowhere else. It is QEMU's own
 * network, whose state is in a stream: where there was one there must be one.
 */
export function userNetwork(given: OptionList, id: string | undefined, port: GuestPort | undefined): string {
  const words = ['user', ...(id === undefined ? [] : [`id=${id}`]), 'restrict=on'];
  if (port?.address !== undefined) words.push(...around(port.address, port.prefix ?? DEFAULT_PREFIX));
  else if (kindOf(given) === 'user')
    for (const key of KEPT) if (given.get(key) !== undefined) words.push(`${key}=${given.get(key)}`);
  words.push('ipv6=off');
  // Port 0 is one that is free; QEMU tells which it became.
  if (port) words.push(`hostfwd=tcp:127.0.0.1:0-${port.address ?? ''}:${port.port}`);
  return words.join(',');
}

/** A network whose guest has an address already, and is given the same again. What else is in it is not the guest's. */
function around(address: string, prefix: number): string[] {
  const own = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const network = own - (own % 2 ** (32 - prefix));
  const [host, dns] = [1, 2, 3].map((number) => network + number).filter((other) => other !== own);
  return [
    `net=${dotted(network)}/${prefix}`,
    `host=${dotted(host!)}`,
    `dns=${dotted(dns!)}`,
    `dhcpstart=${address}`,
  ];
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
