import { afterEach, beforeEach, expect, it } from 'vitest';
import { ALLOCATION, BASE_ALLOCATION, NbdClient } from '@fitdoc/nbd';
import { PatchedDisk } from './support/patches.js';
import { serve, type Served } from './support/place.js';

const SIZE = 3 * 2 ** 20 + 100;
const vda = new PatchedDisk('vda', SIZE, [1, 2, 700]);
let served: Served;

beforeEach(async () => {
  served = await serve({ exports: [vda] });
});
afterEach(() => served.close());

it('the client reads what the server serves, and its status', async () => {
  const client = await NbdClient.connect(served.socket, 'vda', BASE_ALLOCATION, { timeoutMs: 60_000 });
  expect(client.size).toBe(SIZE);
  const [head, tail] = await Promise.all([client.read(0, 2 ** 20), client.read(2 ** 20, SIZE - 2 ** 20)]);
  expect(Buffer.compare(Buffer.concat([head, tail]), vda.content)).toBe(0);
  const data: number[] = [];
  let next = 0;
  for await (const { offset, length, flags } of client.status()) {
    expect(offset).toBe(next);
    next += length;
    if ((flags & ALLOCATION.zero) === 0) data.push(offset / 4096);
  }
  expect([next, data]).toEqual([SIZE, [1, 700]]);
  const some: number[] = [];
  for await (const { offset, length } of client.status(4096, 16_384)) some.push(offset, length);
  expect(some).toEqual([4096, 8192, 12_288, 4096]);
  client.close();
  await expect.poll(() => served.server.clients, { timeout: 60_000 }).toBe(0);
});

it('the client is told what the server cannot read, and reads on', async () => {
  const client = await NbdClient.connect(served.socket, 'vda', BASE_ALLOCATION, { timeoutMs: 60_000 });
  vda.broken.add(2);
  await expect(client.read(0, 2 ** 16)).rejects.toThrow('block 2 is damaged');
  vda.broken.clear();
  expect((await client.read(4096, 16)).length).toBe(16);
  client.close();
});

it('the client says what it does not find', async () => {
  const options = { timeoutMs: 60_000 };
  await expect(NbdClient.connect(served.socket, 'sda', BASE_ALLOCATION, options)).rejects.toThrow(
    'no export',
  );
  await expect(NbdClient.connect(served.socket, 'vda', 'qemu:x', options)).rejects.toThrow('does not know');
});
