import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectSocket } from '../src/qmp/socket.js';
import type { QmpEvent } from '../src/qmp/transport.js';

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": []}}\r\n';

let directory: string;
let path: string;
let server: Server | undefined;
let sockets: Socket[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fitdoc-qmp-'));
  path = join(directory, 'qmp.sock');
  sockets = [];
});
afterEach(async () => {
  sockets.forEach((socket) => socket.destroy());
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  server = undefined;
  rmSync(directory, { recursive: true });
});

type Command = { execute: string; id: number; arguments: unknown };

/** A server that greets and answers each command as `answer` says; undefined leaves it unanswered. */
async function serve(
  answer: (command: Command, socket: Socket) => object | undefined,
  greeting = GREETING,
): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const command = JSON.parse(text.slice(0, end)) as Command;
        text = text.slice(end + 1);
        const reply = command.execute === 'qmp_capabilities' ? { return: {} } : answer(command, socket);
        if (reply !== undefined) socket.write(`${JSON.stringify({ ...reply, id: command.id })}\r\n`);
      }
    });
    socket.write(greeting);
  });
  await new Promise<void>((resolve) => server!.listen(path, resolve));
}

const coded = (code: string) => expect.objectContaining({ code }) as unknown;

test('connects, learns the version and runs commands', async () => {
  await serve(({ execute, arguments: args }) => ({ return: { execute, args } }));
  const { client, version } = await connectSocket(path);
  expect(version.text).toBe('7.2.22');
  expect(await client.execute('query-x', { a: 1 })).toEqual({ execute: 'query-x', args: { a: 1 } });
  client.close();
});

test('sends no more than a command takes: QEMU reads it a byte at a time', async () => {
  const lines: string[] = [];
  await serve((command) => {
    lines.push(JSON.stringify(command));
    return { return: {} };
  });
  const { client } = await connectSocket(path);
  await client.execute('query-x');
  expect(lines).toEqual(['{"execute":"query-x","id":2}']);
  client.close();
});

test('hears the last word of a QEMU that ends while it is written to', async () => {
  await serve(() => undefined);
  const { client } = await connectSocket(path);
  const events: string[] = [];
  client.onEvent(({ name }) => events.push(name));
  const [socket] = sockets;
  const writing = new Promise((resolve) =>
    socket!.once('close', () => resolve(client.execute('query-x').catch((error: unknown) => error))),
  );
  socket!.write('{"event": "SHUTDOWN", "data": {"guest": true}}\r\n');
  socket!.destroySoon();
  expect(await writing).toEqual(coded('MACHINE_GONE'));
  expect(events).toEqual(['SHUTDOWN']);
});

test('matches answers to commands by their ids, whatever their order', async () => {
  const held: { id: number; socket: Socket }[] = [];
  await serve(({ id }, socket) => {
    held.push({ id, socket });
    if (held.length === 3)
      for (const { id, socket } of held.reverse()) socket.write(`{"return": ${id}, "id": ${id}}\r\n`);
    return undefined;
  });
  const { client } = await connectSocket(path);
  const ids = await Promise.all(['a', 'b', 'c'].map((command) => client.execute<number>(command)));
  expect(ids[1]! - ids[0]!).toBe(1);
  expect(ids[2]! - ids[1]!).toBe(1);
  client.close();
});

test('delivers events with the time of QEMU, also when a line comes in pieces', async () => {
  await serve((_, socket) => {
    socket.write('{"timestamp": {"seconds": 5, "microseconds": 1500}, "ev');
    setTimeout(() => socket.write('ent": "STOP"}\r\n{"return": {}, "id": 2}\r\n'), 10);
    return undefined;
  });
  const { client } = await connectSocket(path);
  const events: QmpEvent[] = [];
  const remove = client.onEvent((event) => events.push(event));
  await client.execute('stop');
  remove();
  expect(events).toEqual([{ name: 'STOP', data: {}, atMs: 5001.5 }]);
  client.close();
});

test("passes on QEMU's refusal with its class and words", async () => {
  await serve(() => ({ error: { class: 'GenericError', desc: 'no such thing' } }));
  const { client } = await connectSocket(path);
  await expect(client.execute('x')).rejects.toMatchObject({
    code: 'PROTOCOL_ERROR',
    message: 'QEMU refused x: no such thing',
    details: { class: 'GenericError', description: 'no such thing' },
  });
  client.close();
});

test('gives up on a command that is not answered, and on an aborted one', async () => {
  await serve(() => undefined);
  const { client } = await connectSocket(path, { timeoutMs: 50 });
  await expect(client.execute('slow')).rejects.toEqual(coded('PROTOCOL_ERROR'));
  const controller = new AbortController();
  const call = client.execute('slow', {}, { signal: controller.signal, timeoutMs: 5000 });
  controller.abort();
  await expect(call).rejects.toEqual(coded('ABORTED'));
  client.close();
});

test('tells of the end of the connection, to those who wait and to those who come', async () => {
  await serve((_, socket) => void socket.destroy());
  const { client } = await connectSocket(path);
  await expect(client.execute('quit')).rejects.toEqual(coded('MACHINE_GONE'));
  expect(client.closed.aborted).toBe(true);
  await expect(client.execute('query-status')).rejects.toEqual(coded('MACHINE_GONE'));
});

test('names who is not there, who is busy and who is no QEMU', async () => {
  await expect(connectSocket(path)).rejects.toEqual(coded('MACHINE_NOT_FOUND'));
  await serve(() => undefined, '');
  await expect(connectSocket(path, { greetingMs: 50 })).rejects.toEqual(coded('MACHINE_BUSY'));
  sockets.forEach((socket) => socket.destroy());
  await new Promise<void>((resolve) => server!.close(() => resolve()));
  await serve(() => undefined, 'SSH-2.0-OpenSSH\r\n');
  await expect(connectSocket(path)).rejects.toEqual(coded('PROTOCOL_ERROR'));
});
