import { stat } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PatchedDisk } from './support/patches.js';
import { serve, type Served } from './support/place.js';
import { counted, RawClient, uint32 } from './support/raw-client.js';

const SIZE = 2 ** 20 + 1000;
let vda: PatchedDisk;
let served: Served;

beforeEach(async () => {
  vda = new PatchedDisk('vda', SIZE, [0, 1, 5, 256]);
  served = await serve({ exports: [vda, new PatchedDisk('vdb', 4096, [])], maxClients: 3 });
});
afterEach(() => served.close());

describe('the handshake', () => {
  it('lists the exports and tells of each its size and that it may only be read', async () => {
    const client = await RawClient.greeted(served.socket);
    const listed = await client.option(3);
    expect(listed.map(({ type, body }) => [type, body.toString('latin1', 4)])).toEqual([
      [2, 'vda'],
      [2, 'vdb'],
      [1, ''],
    ]);
    const told = await client.option(6, Buffer.concat([counted('vda'), Buffer.from([0, 2, 0, 1, 0, 3])]));
    const [exported, name, sizes] = told.map(({ body }) => body);
    expect([
      exported!.readUInt16BE(0),
      Number(exported!.readBigUInt64BE(2)),
      exported!.readUInt16BE(10),
    ]).toEqual([0, SIZE, 0b1_0000_0011]);
    expect(name!.toString('latin1', 2)).toBe('vda');
    expect([2, 6, 10].map((at) => sizes!.readUInt32BE(at))).toEqual([1, 4096, 2 ** 25]);
  });

  it('names what there is where an export is not there, and goes on', async () => {
    const client = await RawClient.greeted(served.socket);
    const [refused] = await client.option(7, Buffer.concat([counted('sda'), Buffer.alloc(2)]));
    expect(refused).toMatchObject({ type: 0x8000_0006 });
    expect(refused!.body.toString()).toContain('"vda", "vdb"');
    expect((await client.option(7, Buffer.concat([counted('vda'), Buffer.alloc(2)]))).at(-1)!.type).toBe(1);
  });

  it('knows the oldest way to choose an export', async () => {
    for (const [flags, zeroes] of [
      [3, 0],
      [1, 124],
    ] as const) {
      const client = await RawClient.greeted(served.socket, flags);
      client.send(Buffer.from('IHAVEOPT'), uint32(1), uint32(3), Buffer.from('vda'));
      expect(Number((await client.take(10 + zeroes)).readBigUInt64BE(0))).toBe(SIZE);
      client.request(0, 4096, 16);
      expect((await client.take(32)).subarray(16)).toEqual(vda.content.subarray(4096, 4112));
      client.socket.destroy();
      await client.end();
    }
    const client = await RawClient.greeted(served.socket);
    client.send(Buffer.from('IHAVEOPT'), uint32(1), uint32(3), Buffer.from('sda'));
    await client.end();
  });

  it.each([
    ['a greeting with flags that were not offered', [uint32(4)]],
    ['what is no option', [uint32(3), Buffer.alloc(16, 'x')]],
    ['a name of an export without end', [uint32(3), Buffer.from('IHAVEOPT'), uint32(1), uint32(2 ** 31)]],
  ])('ends with %s', async (_, parts) => {
    const client = await RawClient.connect(served.socket);
    client.send(...parts);
    await client.end();
    await expect
      .poll(() => served.events.at(-1))
      .toMatchObject({ type: 'closed', reason: expect.any(String) as string });
  });

  it.each([
    ['one that is too long', 3, Buffer.alloc(2 ** 15), 0x8000_0009],
    ['a list with more to it', 3, Buffer.alloc(1), 0x8000_0003],
    ['a name that is shorter than it says', 7, uint32(100), 0x8000_0003],
    ['more queries than there are', 10, Buffer.concat([counted('vda'), uint32(2 ** 31)]), 0x8000_0003],
    ['contexts without structured replies', 10, Buffer.concat([counted('vda'), uint32(0)]), 0x8000_0003],
    ['TLS', 5, Buffer.alloc(0), 0x8000_0001],
    ['extended headers', 11, Buffer.alloc(0), 0x8000_0001],
  ])('refuses options: %s', async (_, option, data, error) => {
    const client = await RawClient.greeted(served.socket);
    expect((await client.option(option, data)).at(-1)!.type).toBe(error);
    expect((await client.option(2))[0]!.type).toBe(1);
    await client.end();
  });

  it('is not waited for without end, and neither are options', async () => {
    const impatient = await serve({ exports: [vda], handshakeMs: 50 });
    await (await RawClient.connect(impatient.socket)).end();
    await impatient.close();
    const client = await RawClient.greeted(served.socket);
    const asking = (async () => {
      for (;;) await client.option(8);
    })();
    await expect(asking).rejects.toThrow('closed');
  });
});

describe('reading', () => {
  it('gives data and holes, in one piece where that is asked for', async () => {
    const client = await RawClient.opened(served.socket, 'vda', true);
    client.request(0, 4000, 5 * 4096);
    const chunks = [await client.chunk(), await client.chunk(), await client.chunk(), await client.chunk()];
    expect(chunks.map(({ type, done }) => [type, done])).toEqual([
      [1, false],
      [1, false],
      [2, false],
      [1, true],
    ]);
    expect(chunks[3]!.body.subarray(8)).toEqual(vda.content.subarray(5 * 4096, 5 * 4096 + 4000));
    client.request(0, 4000, 5 * 4096, { flags: 4 });
    const whole = await client.chunk();
    expect(whole.done).toBe(true);
    expect(whole.body.subarray(8)).toEqual(vda.content.subarray(4000, 4000 + 5 * 4096));
    client.request(0, SIZE - 10, 10);
    expect((await client.chunk()).body.subarray(8)).toEqual(vda.content.subarray(SIZE - 10));
  });

  it('tells the status, and no more of it than is asked for', async () => {
    const client = await RawClient.opened(served.socket, 'vda', true);
    const extents = async (flags: number): Promise<number[][]> => {
      client.request(7, 0, 7 * 4096, { flags });
      const { body } = await client.chunk();
      return Array.from({ length: (body.length - 4) / 8 }, (_, index) => [
        body.readUInt32BE(4 + index * 8),
        body.readUInt32BE(8 + index * 8),
      ]);
    };
    expect(await extents(0)).toEqual([
      [2 * 4096, 0],
      [3 * 4096, 3],
      [4096, 0],
      [4096, 3],
    ]);
    expect(await extents(8)).toEqual([[2 * 4096, 0]]);
  });

  it('answers many requests at once, each with its own', async () => {
    const client = await RawClient.opened(served.socket, 'vda', true);
    for (let i = 0; i < 200; i++) client.request(0, 100 + i, 50, { cookie: i });
    const seen = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const { cookie, body } = await client.chunk();
      seen.add(cookie);
      expect(body.subarray(8)).toEqual(vda.content.subarray(100 + cookie, 150 + cookie));
    }
    expect(seen.size).toBe(200);
  });

  it('tells what cannot be read and goes on', async () => {
    vda.broken.add(5);
    const client = await RawClient.opened(served.socket, 'vda', true);
    client.request(0, 0, 2 ** 16);
    const { type, body } = await client.chunk();
    expect([type, body.readUInt32BE(0), body.toString('utf8', 6)]).toEqual([0x8001, 5, 'block 5 is damaged']);
    client.request(0, 0, 4096);
    expect((await client.chunk()).type).toBe(1);
    const failed = served.events.find(({ type: each }) => each === 'failed');
    expect(failed).toMatchObject({ export: 'vda', offset: 0, length: 2 ** 16 });
  });

  it.each([true, false])('refuses what may not be (structured replies: %s)', async (structured) => {
    const client = await RawClient.opened(served.socket, 'vda', structured);
    const refused = async (...[command, offset, length, flags = 0]: number[]): Promise<number> => {
      client.request(command!, offset!, length!, { flags });
      if (command === 1) client.send(Buffer.alloc(length!));
      return client.errno();
    };
    expect(await refused(1, 0, 5000)).toBe(1);
    expect(await refused(4, 0, 4096)).toBe(1);
    expect(await refused(6, 0, 4096)).toBe(1);
    expect(await refused(3, 0, 0)).toBe(22);
    expect(await refused(99, 0, 0)).toBe(22);
    expect(await refused(0, SIZE - 5, 6)).toBe(22);
    expect(await refused(0, 2 ** 60, 6)).toBe(22);
    expect(await refused(0, 0, 2 ** 25 + 1)).toBe(75);
    expect(await refused(0, 0, 10, 0x100)).toBe(22);
    expect(await refused(7, 0, 0)).toBe(22);
    expect(await refused(7, 0, structured ? SIZE + 1 : 10)).toBe(22);
    client.request(0, 0, 3);
    expect(await client.errno()).toBe(0);
  });

  it('ends with a request that is none, and nobody else notices', async () => {
    const other = await RawClient.opened(served.socket, 'vda', true);
    const client = await RawClient.opened(served.socket, 'vda', true);
    client.send(Buffer.alloc(28));
    await client.end();
    other.request(0, 0, 4096);
    expect((await other.chunk()).type).toBe(1);
  });
});

describe('clients', () => {
  it('that are too many are turned away, until one goes', async () => {
    const three = await Promise.all([1, 2, 3].map(() => RawClient.opened(served.socket, 'vda', true)));
    await (await RawClient.connect(served.socket)).end();
    await expect.poll(() => served.events.at(-1), { timeout: 60_000 }).toMatchObject({ type: 'refused' });
    three[0]!.request(2, 0, 0);
    await three[0]!.end();
    await expect.poll(() => served.server.clients, { timeout: 60_000 }).toBe(2);
    await RawClient.opened(served.socket, 'vda', false);
  });

  it('that take no replies are owed no more than may be, and hold up nobody', async () => {
    let reading = 0;
    const slow = { ...vda, sizeBytes: SIZE, name: 'slow', status: vda.status.bind(vda) };
    const disk = Object.assign(slow, {
      read: async (offset: number, length: number) => {
        reading++;
        return [{ offset, bytes: Buffer.alloc(length, 1) }];
      },
    });
    const place = await serve({ exports: [disk] });
    const stalled = await RawClient.opened(place.socket, 'slow', true);
    stalled.socket.pause();
    for (let i = 0; i < 400; i++) stalled.request(0, 0, 2 ** 20);
    await expect.poll(() => reading, { timeout: 60_000 }).toBeGreaterThanOrEqual(32);
    const before = reading;
    const other = await RawClient.opened(place.socket, 'slow', true);
    for (let i = 0; i < 20; i++) {
      other.request(0, 0, 2 ** 20);
      expect((await other.chunk()).done).toBe(true);
    }
    // What the system's buffers took counts as sent.
    expect(reading - before - 20).toBeLessThan(8);
    expect(reading).toBeLessThan(100);
    await place.close();
    stalled.socket.destroy();
  });

  it('are told of, with what they read', async () => {
    const client = await RawClient.opened(served.socket, 'vda', true);
    client.request(0, 0, 4096);
    await client.chunk();
    client.request(2, 0, 0);
    await client.end();
    await expect
      .poll(() => served.events, { timeout: 60_000 })
      .toEqual([
        { type: 'connected', client: 1 },
        { type: 'opened', client: 1, export: 'vda' },
        { type: 'closed', client: 1, export: 'vda', bytes: 4096 },
      ]);
  });

  it('are let go of when the server ends, and the socket with it', async () => {
    expect((await stat(served.socket)).mode & 0o777).toBe(0o600);
    const client = await RawClient.opened(served.socket, 'vda', true);
    await served.server.close();
    await client.end();
    await expect(stat(served.socket)).rejects.toThrow();
  });
});
