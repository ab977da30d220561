import { createServer, type AddressInfo } from 'node:net';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.js';

export const SSH_CONFIG = 'ssh_config';

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/**
 * Makes the keys of this run: dom0 finds its own, and the public one of its client, in the shared folder; the
 * client's configuration knows dom0 by its key, so a connection asks nothing and trusts nobody else.
 */
export function prepareSsh(folder: string, port: number): void {
  const keys = join(folder, 'shared/ssh');
  mkdirSync(keys, { recursive: true });
  const makeKey = (path: string) =>
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path]);
  makeKey(join(keys, 'host_key'));
  makeKey(join(folder, 'client_key'));
  writeFileSync(join(keys, 'client_key.pub'), readFileSync(join(folder, 'client_key.pub')));
  writeFileSync(
    join(folder, 'known_hosts'),
    `[127.0.0.1]:${port} ${readFileSync(join(keys, 'host_key.pub'), 'utf8')}`,
  );
  const lines = [
    'Host dom0',
    '  HostName 127.0.0.1',
    `  Port ${port}`,
    '  User root',
    `  IdentityFile "${join(folder, 'client_key')}"`,
    '  IdentitiesOnly yes',
    `  UserKnownHostsFile "${join(folder, 'known_hosts')}"`,
    '  StrictHostKeyChecking yes',
    // The one that costs the emulator least.
    '  Ciphers aes128-gcm@openssh.com',
  ];
  writeFileSync(join(folder, SSH_CONFIG), `${lines.join('\n')}\n`);
}
