import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NbdServer, type NbdEvent, type NbdServerOptions } from '@fitdoc/nbd';

export interface Served {
  readonly server: NbdServer;
  readonly folder: string;
  readonly socket: string;
  readonly events: NbdEvent[];
  close(): Promise<void>;
}

/** A server at a socket in a folder of its own. */
export async function serve(options: NbdServerOptions): Promise<Served> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fitdoc-nbd-'));
  const socket = path.join(folder, 'nbd.sock');
  const events: NbdEvent[] = [];
  const server = await NbdServer.listen(
    { path: socket },
    { ...options, onEvent: (event) => events.push(event) },
  );
  return {
    server,
    folder,
    socket,
    events,
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
