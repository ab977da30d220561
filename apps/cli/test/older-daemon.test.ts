import { once } from 'node:events';
import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { DaemonClient } from '../src/daemon/client.js';
import { standbysOf } from '../src/daemon/standby-lines.js';

let directory: string;
const server = createServer();
afterEach(async () => {
  server.removeAllListeners('request').close();
  await rm(directory, { recursive: true });
});

it('a daemon that knows of no standbys has none, and one that fails to tell of them has failed', async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'fitdoc-older-'));
  const socket = path.join(directory, 'daemon.sock');
  let answer = { code: 'NOT_FOUND', message: 'There is no GET /v1/standbys.' };
  server.on('request', (_, response) => response.writeHead(404).end(JSON.stringify(answer)));
  await once(server.listen(socket), 'listening');
  const client = new DaemonClient(socket, new AbortController().signal);
  expect(await standbysOf(client)).toEqual([]);
  answer = { code: 'REPOSITORY_LOCKED', message: 'Not now.' };
  await expect(standbysOf(client)).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
});
