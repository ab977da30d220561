import { Socket } from 'node:net';
import { bindSockets } from '../native/binding.js';
import { copyOf } from '../native/sockets.js';

/** What Node keeps of a socket below its streams. */
interface Inner {
  readonly _handle?: { readonly fd?: number } | null;
}

/** Descriptor of a socket of Node's; undefined when it is closed. */
export function descriptorOf(socket: Socket): number | undefined {
  const { fd } = (socket as unknown as Inner)._handle ?? {};
  return fd === undefined || fd < 0 ? undefined : fd;
}

/**
 * A second socket of Node's over a connected `socket`, to write into. Node gives up a socket whose write fails, and
 * with it all that has come and was not read yet: of a QEMU that ends, why it does. A write that fails here is no error
 * of the connection, whose end is read from `socket`. Where no second descriptor can be had: `socket` itself.
 */
export async function writingEnd(socket: Socket): Promise<Socket> {
  const calls = await bindSockets().catch(() => undefined);
  const descriptor = descriptorOf(socket);
  const copy = calls === undefined || descriptor === undefined ? -1 : copyOf(calls, descriptor);
  if (copy < 0) return socket;
  const writer = new Socket({ fd: copy, readable: false, writable: true });
  writer.on('error', () => undefined);
  return writer;
}
