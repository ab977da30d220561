import { Socket } from 'node:net';

/** What Node keeps of a socket below its streams; an accepted one has it until it is destroyed. */
interface Accepted {
  _handle: object | null;
}

export interface Landing {
  /** Memory for the next read. */
  room(): Uint8Array;
  /** The next read brought `count` bytes. */
  landed(count: number): void;
}

/**
 * A socket, in place of an accepted one that nobody has read yet, whose bytes land where the caller says. Node
 * offers that for sockets that connect, not for accepted ones, whose every read of at most 64 KiB takes fresh
 * memory: several times slower, while a guest waits. Gives undefined where Node's innards are not as expected.
 */
export function landingSocket(accepted: Socket, landing: Landing): Socket | undefined {
  const inner = accepted as unknown as Accepted;
  const handle = inner._handle;
  if (handle === null || typeof handle !== 'object' || !('useUserBuffer' in handle)) return undefined;
  inner._handle = null;
  const options = {
    handle,
    readable: true,
    writable: true,
    onread: {
      buffer: () => landing.room(),
      callback: (count: number): boolean => {
        landing.landed(count);
        return true;
      },
    },
  };
  const socket = new Socket(options);
  // The server counts the one that it accepted.
  socket.once('close', () => accepted.destroy());
  return socket;
}
