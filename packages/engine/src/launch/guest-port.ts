import { isIPv4 } from 'node:net';
import { FitdocError, type GuestPort } from '@fitdoc/interface';

const FORM = /^(?:([\d.]+)(?:\/(\d{1,2}))?:)?(\d{1,5})$/;
const LARGEST = 65_535;

/** Reads `22`, `192.168.1.7:22` or `192.168.1.7/24:22`. ARGUMENT_INVALID. */
export function guestPort(text: string): GuestPort {
  const [, address, bits, digits] = FORM.exec(text) ?? [];
  const port = Number(digits);
  const prefix = bits === undefined ? undefined : Number(bits);
  if (digits === undefined || port < 1 || port > LARGEST) throw invalid(text, 'is no port of a guest');
  if (address === undefined) return { port };
  if (!isIPv4(address)) throw invalid(text, 'has no IPv4 address');
  if (!isHost(address, prefix ?? 24)) throw invalid(text, 'has no address of a guest in a network of it');
  return { port, address, ...(prefix !== undefined && { prefix }) };
}

/** Whether others fit beside it in its network, and it is neither that nor its broadcast address. */
function isHost(address: string, prefix: number): boolean {
  if (prefix < 8 || prefix > 29) return false;
  const size = 2 ** (32 - prefix);
  const own = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) % size;
  return own !== 0 && own !== size - 1;
}

function invalid(text: string, why: string): FitdocError {
  return new FitdocError('ARGUMENT_INVALID', `${text} ${why}.`, {
    hint: 'Write 22, or with the address that the guest has and its network (8 to 29 bits): 192.168.1.7/24:22.',
  });
}
