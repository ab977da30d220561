import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError } from '@fitdoc/interface';
import { bindSockets } from '../native/binding.js';
import { sendWithDescriptor } from '../native/sockets.js';
import { descriptorOf } from './writing-end.js';

/** How long QEMU's end of the monitor may be full, milliseconds. */
const PATIENCE_MS = 5000;

/**
 * Writes `text` into a connected unix socket with a descriptor beside it. It comes after what was written
 * before, and what is written later comes after it; it is not written once `wanted` says no, as the descriptor
 * may then be another's. Errors: CAPABILITY_MISSING, PROTOCOL_ERROR.
 */
export async function writeWithDescriptor(
  socket: Socket,
  text: string,
  descriptor: number,
  wanted: () => boolean,
): Promise<void> {
  const calls = await bindSockets();
  const bytes = Buffer.from(text);
  const deadline = performance.now() + PATIENCE_MS;
  for (let waitMs = 1; performance.now() < deadline; waitMs = Math.min(waitMs * 2, 50)) {
    const monitor = descriptorOf(socket);
    if (!wanted()) return;
    if (socket.destroyed || monitor === undefined) break;
    // What Node has not written yet must not end up in the middle of ours, nor behind it.
    const sent = socket.writableLength === 0 ? sendWithDescriptor(calls, monitor, bytes, descriptor) : 0;
    if (sent > 0) {
      if (sent < bytes.length) socket.write(bytes.subarray(sent));
      return;
    }
    await sleep(waitMs);
  }
  throw new FitdocError('PROTOCOL_ERROR', 'A descriptor could not be handed to QEMU in time.', {
    hint: 'QEMU does not read its monitor; the host may be overloaded.',
    retryable: true,
  });
}
