import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { PortAnswer } from '@fitdoc/interface';
import { afterEach, expect, test } from 'vitest';
import { callPort } from '../src/launch/call-port.js';

const servers: { readonly server: Server; readonly sockets: Set<Socket> }[] = [];
afterEach(() => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** A port of this host in the place of QEMU's, which takes every connection at once. */
async function listen(onCall: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onCall(socket);
  }).listen(0, '127.0.0.1');
  servers.push({ server, sockets });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** QEMU's table, where the connection to the guest is in these states, a look each; the last one stays. */
function monitor(from: number, ...states: readonly string[]) {
  const asked: unknown[] = [];
  const left = [...states];
  const execute = async (command: string, args: unknown): Promise<never> => {
    asked.push([command, args]);
    const state = left.length > 1 ? left.shift()! : left[0];
    const row = (name: string, port: number, to: number): string =>
      `${`  TCP[${name}]`.padEnd(19)}  13       127.0.0.1 ${String(port).padStart(5)}       10.0.2.15 ${String(to).padStart(5)}     0     0\r\n`;
    const head =
      'Hub -1 (n):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n';
    // Of another port's, and of a call that the guest made.
    const others = row('HOST_FORWARD', 1, 222) + row('ESTABLISHED', from + 1, 22);
    return (head + others + (state ? row(state, from, 22) : '') + row('HOST_FORWARD', from, 22)) as never;
  };
  return { execute, asked };
}

function call(from: number, states: readonly string[], expected?: RegExp): Promise<PortAnswer> {
  return callPort(monitor(from, ...states), 22, expected, undefined);
}

test('a guest takes a connection when its own side of it stands, not when the forwarder has it', async () => {
  const from = await listen(() => undefined);
  const qmp = monitor(from, '', 'SYN_SENT', 'SYN_SENT', 'ESTABLISHED');
  expect(await callPort(qmp, 22, undefined, undefined)).toEqual({ taken: true, said: '' });
  expect(qmp.asked).toHaveLength(4);
  expect(qmp.asked[0]).toEqual(['human-monitor-command', { 'command-line': 'info usernet' }]);
});

test('a guest that refuses has its connection ended, and has taken none', async () => {
  const from = await listen((socket) => socket.end());
  expect(await call(from, ['SYN_SENT'])).toEqual({ taken: false, said: '' });
  expect(await call(from, ['CLOSE_WAIT'])).toEqual({ taken: true, said: '' });
  const reset = await listen((socket) => socket.resetAndDestroy());
  expect(await call(reset, ['CLOSED'], /SSH/)).toEqual({ taken: false, said: '' });
});

test('what a guest says first is waited for, however it comes', async () => {
  const parts = ['220 m', 'ail\r\n', 'SSH-2', '.0-x\r\n'];
  const from = await listen((socket) => {
    const next = (): void => void (parts.length > 0 && socket.write(parts.shift()!) && setTimeout(next, 70));
    next();
  });
  const { taken, said } = await call(from, ['SYN_SENT'], /^SSH-2\.0/m);
  expect(taken).toBe(true);
  expect(said).toMatch(/^220 mail\r\nSSH-2\.0/);
  const other = await listen((socket) => socket.end('220 mail\r\n'));
  expect(await call(other, ['ESTABLISHED'], /SSH/)).toEqual({ taken: true, said: '220 mail\r\n' });
  const endless = await listen((socket) => socket.end('x'.repeat(1 << 20)));
  expect((await call(endless, ['ESTABLISHED'], /SSH/)).said).toHaveLength(4096);
});

test('a guest that neither takes nor refuses is waited for until somebody stops', async () => {
  const from = await listen(() => undefined);
  const stop = new AbortController();
  const waiting = callPort(monitor(from, 'SYN_SENT'), 22, undefined, stop.signal);
  setTimeout(() => stop.abort(), 150);
  await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
});

test('a port that nothing forwards to is no answer of the guest', async () => {
  await expect(callPort(monitor(5), 23, undefined, undefined)).rejects.toMatchObject({
    code: 'CAPABILITY_MISSING',
  });
});
