import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** Most bytes of a unix socket's path. */
const PATH_BYTES = 108;

interface LibC {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly sendto: (
    socket: number,
    message: Buffer,
    length: number,
    flags: number,
    address: Buffer,
    addressLength: number,
  ) => number;
  readonly close: (descriptor: number) => number;
}

let libc: LibC | undefined;

/** Loaded when first used: without systemd the library is never touched. */
function load(): LibC {
  if (libc) return libc;
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  const library = koffi.load('libc.so.6');
  libc = {
    socket: library.func('int socket(int, int, int)') as LibC['socket'],
    sendto: library.func('long sendto(int, void *, size_t, int, void *, unsigned int)') as LibC['sendto'],
    close: library.func('int close(int)') as LibC['close'],
  };
  return libc;
}

/**
 * Sends one datagram to a unix socket, as sd_notify(3) describes; a path that begins with `@` is an abstract
 * name. Requires Linux. Returns whether it was taken.
 */
export function sendDatagram(path: string, message: string): boolean {
  const name = Buffer.from(path);
  if (name.length === 0 || name.length >= PATH_BYTES) return false;
  if (path.startsWith('@')) name[0] = 0;
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const { socket, sendto, close } = load();
  const descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  try {
    const bytes = Buffer.from(message);
    return sendto(descriptor, bytes, bytes.length, MSG_NOSIGNAL, address, address.length) === bytes.length;
  } finally {
    close(descriptor);
  }
}
