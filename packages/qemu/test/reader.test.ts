import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { isFitdocError, PAGE_SIZE, type LentArea, type PageSink } from '@fitdoc/interface';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bindSockets, type SocketCalls } from '../src/native/binding.js';
import { patientCopy, socketPair, waiting } from '../src/native/sockets.js';
import { LandingSink } from '../src/reader/landing.js';
import { Loans } from '../src/reader/loans.js';
import type { Batch } from '../src/reader/messages.js';
import { ReaderThread } from '../src/reader/thread.js';
import { StreamChannel } from '../src/session/channel.js';
import { limitsOf } from '../src/session/link.js';
import { StreamBuilder, type Record } from './support/stream-builder.js';

const PAGES = 60;
const coded = (code: string) => expect.objectContaining({ code }) as Error;

/** Memory that lends its pages, in areas of a few slots for each third of the gfns, or does not lend. */
class Memory implements PageSink {
  readonly bytes = new Uint8Array(PAGES * PAGE_SIZE).fill(0xee);
  readonly lend?: (pages: number) => readonly LentArea[];
  readonly open = new Set<LentArea>();

  constructor(slots: number) {
    if (slots === 0) return;
    this.lend = () =>
      [0, 20, 40].map((firstGfn) => {
        const bytes = new Uint8Array(new SharedArrayBuffer(slots * PAGE_SIZE));
        const area = { firstGfn, gfnCount: 20, bytes };
        this.open.add(area);
        return area;
      });
  }

  reserve(): boolean {
    return false;
  }

  place(gfn: number): Uint8Array {
    return this.bytes.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE);
  }

  zero(gfn: number, count: number): void {
    this.bytes.fill(0, gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE);
  }

  landed(area: LentArea, gfns: Uint32Array): void {
    if (!this.open.delete(area)) throw new Error('an area that is not lent');
    gfns.forEach((gfn, slot) =>
      this.place(gfn).set(area.bytes.subarray(slot * PAGE_SIZE, (slot + 1) * PAGE_SIZE)),
    );
  }
}

/** Memory that has room for some pages until it is given the time to look at what came. */
class Crowded extends Memory {
  capacity = 40;
  rooms = 0;
  onRoom = (): void => undefined;
  private used = 0;

  override reserve(pages = 0): boolean {
    return this.used + pages <= this.capacity;
  }

  async prepare(pages: number): Promise<boolean> {
    expect(this.open.size).toBe(0);
    await sleep(1);
    this.used = 0;
    const room = this.reserve(pages);
    if (room) this.rooms++;
    this.onRoom();
    return room;
  }

  override landed(area: LentArea, gfns: Uint32Array): void {
    this.used += gfns.length;
    super.landed(area, gfns);
  }
}

describe('pages that land in borrowed memory', () => {
  test('are those that were placed last, however loans are cut', () => {
    const gfn = fc.nat(PAGES - 1);
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ gfn, value: fc.integer({ min: 1, max: 255 }) }) },
      fc.record({ gfn, zeros: fc.integer({ min: 1, max: 30 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(5), (steps, slots) => {
        const [memory, expected] = [new Memory(slots), new Memory(0)];
        const loans = new Loans({ sink: memory, totalPages: PAGES });
        const sink = new LandingSink({
          borrow: () => loans.next(),
          give: (batch: Batch) => loans.take(batch),
        });
        for (const given of steps) {
          if ('value' in given) {
            sink.place(given.gfn).fill(given.value);
            expected.place(given.gfn).fill(given.value);
          } else {
            const count = Math.min(given.zeros, PAGES - given.gfn);
            sink.zero(given.gfn, count);
            expected.zero(given.gfn, count);
          }
        }
        sink.flush();
        loans.end();
        expect(Buffer.compare(memory.bytes, expected.bytes)).toBe(0);
        expect(memory.open.size).toBe(0);
      }),
    );
  });
});

describe('the pair of sockets', () => {
  test('is content with what the kernel grants where the right to more is missing', async () => {
    const real = await bindSockets();
    const SO_SNDBUFFORCE = 32;
    const calls: SocketCalls = {
      ...real,
      setsockopt: (socket, level, name, value, bytes) =>
        name === SO_SNDBUFFORCE ? -1 : real.setsockopt(socket, level, name, value, bytes),
    };
    const pair = socketPair(calls, 900 << 20);
    expect(pair.bufferBytes).toBeLessThan(900 << 20);
    expect(pair.bufferBytes).toBeGreaterThan(64 << 10);
    expect(limitsOf({ through: 'descriptor', bufferBytes: 200 << 10 })[0]).toMatch(/200 KiB.*wmem_max/);
    expect(limitsOf({ through: 'descriptor', bufferBytes: 64 << 20 })).toEqual([]);
    for (const end of [pair.ours, pair.theirs]) real.close(end);
  });
});

describe('the reader thread', () => {
  const reader = new ReaderThread();
  let calls: SocketCalls;
  beforeAll(async () => void (calls = await bindSockets()));
  afterAll(() => reader.close());

  const dirty = (count: number, fill: number): Record[] =>
    Array.from({ length: count }, (_, page) => ({ block: 'ram', page, fill }));

  /** A channel over a pair, and QEMU's side of it: what `bytes` gives is written into it. */
  async function connect(bufferBytes: number) {
    const pair = socketPair(calls, bufferBytes);
    const channel = await StreamChannel.open(reader, pair.ours, pair.bufferBytes);
    const write = (bytes: Uint8Array): void => {
      for (let at = 0; at < bytes.length;) at += writeSync(pair.theirs, bytes.subarray(at));
    };
    const builder = new StreamBuilder([['ram', PAGES]]);
    const flush = (): void => write(builder.out.take());
    return { pair, channel, builder, flush, close: () => calls.close(pair.theirs) };
  }

  const never = new AbortController().signal;

  test('leaves a checkpoint in the buffer until the guest runs, and then lands it', async () => {
    const { pair, channel, builder, flush, close } = await connect(4 << 20);
    const memory = new Memory(7);
    builder.header().ram(3, dirty(PAGES, 1));
    const devices = builder.devices(Uint8Array.of(1, 2));
    flush();
    const { header } = await channel.run({ type: 'header' }, never);
    expect(header!.blocks).toEqual([{ name: 'ram', size: PAGES * PAGE_SIZE, firstGfn: 0 }]);
    const to = { sink: memory, totalPages: PAGES };
    expect((await channel.run({ type: 'precopy' }, never, to)).devices).toEqual(devices);
    const state = builder.checkpoint(dirty(50, 2), Uint8Array.of(3));
    const message = builder.out.take();
    writeSync(pair.theirs, message.subarray(0, 4));
    await channel.run({ type: 'request' }, never);
    channel.resumed = false;
    const reading = channel.run({ type: 'checkpoint', expectedBytes: 1000 }, never, to);
    // All of it at once, with nobody there to read it.
    expect(writeSync(pair.theirs, message.subarray(4))).toBe(message.length - 4);
    expect(waiting(calls, pair.ours)).toBe(message.length - 4);
    expect(memory.bytes[0]).toBe(1);
    channel.resumed = true;
    const { devices: read, times, bytes } = await reading;
    expect([read, times, bytes]).toEqual([state, undefined, message.length - 4]);
    expect(memory.bytes.subarray(0, 50 * PAGE_SIZE).every((byte) => byte === 2)).toBe(true);
    expect(memory.bytes.subarray(50 * PAGE_SIZE).every((byte) => byte === 1)).toBe(true);
    await channel.close();
    close();
  });

  test('has room made while the guest runs, with nothing lent, and never when it stands', async () => {
    const { channel, builder, flush, close } = await connect(4 << 20);
    const memory = new Crowded(4);
    builder.header();
    for (let round = 1; round <= 3; round++) builder.ram(2, dirty(PAGES, round));
    builder.ram(3, dirty(40, 9)).devices(Uint8Array.of(1));
    flush();
    await channel.run({ type: 'header' }, never);
    let standing = false;
    memory.onRoom = () => {
      expect(standing).toBe(false);
      standing = memory.rooms === 5;
    };
    const to = { sink: memory, totalPages: PAGES, running: () => !standing };
    await channel.run({ type: 'precopy' }, never, to);
    expect(memory.rooms).toBe(5);
    expect(memory.open.size).toBe(0);
    expect(memory.bytes.subarray(0, 40 * PAGE_SIZE).every((byte) => byte === 9)).toBe(true);
    expect(memory.bytes.subarray(40 * PAGE_SIZE).every((byte) => byte === 3)).toBe(true);
    await channel.close();
    close();
  });

  test('ends, its sink whole, when no room is to be had', async () => {
    const { channel, builder, flush, close } = await connect(4 << 20);
    const memory = new Crowded(4);
    builder.header().ram(2, dirty(PAGES, 1));
    flush();
    await channel.run({ type: 'header' }, never);
    memory.capacity = 0;
    const to = { sink: memory, totalPages: PAGES, running: () => true };
    await expect(channel.run({ type: 'precopy' }, never, to)).rejects.toThrow(coded('MEMORY_BUDGET'));
    await channel.close();
    close();
  });

  test.each([0, 1e9])(
    'reads within the pause what the buffer cannot hold (expected: %s)',
    async (expected) => {
      const { pair, channel, builder, flush, close } = await connect(64 << 10);
      const memory = new Memory(3);
      builder.header();
      flush();
      await channel.run({ type: 'header' }, never);
      const devices = builder.checkpoint(dirty(PAGES, 4), new Uint8Array(300_000));
      // QEMU's part, which waits when the buffer is full, is a thread of its own.
      const qemu = new Worker(
        `const { socket, bytes } = require('node:worker_threads').workerData;
       for (let at = 0; at < bytes.length;) at += require('node:fs').writeSync(socket, bytes.subarray(at));`,
        { eval: true, workerData: { socket: pair.theirs, bytes: builder.out.take() } },
      );
      // It may end before all that it wrote was looked at.
      const exited = once(qemu, 'exit');
      await channel.run({ type: 'request' }, never);
      channel.resumed = false;
      const to = { sink: memory, totalPages: PAGES };
      const read = await channel.run({ type: 'checkpoint', expectedBytes: expected }, never, to);
      expect(Buffer.compare(read.devices!, devices)).toBe(0);
      expect(read.times!.begun).toBeLessThanOrEqual(read.times!.devices);
      expect(memory.bytes.every((byte) => byte === 4)).toBe(true);
      await exited;
      await channel.close();
      close();
    },
  );

  test('ends what it does when the stream ends, is aborted or its sink fails, and does the next', async () => {
    for (const how of ['end', 'abort', 'sink', 'close'] as const) {
      const { channel, builder, flush, close } = await connect(4 << 20);
      builder.header();
      builder.ram(2, dirty(PAGES, 5));
      flush();
      await channel.run({ type: 'header' }, never);
      const memory = new Memory(how === 'sink' ? 0 : 3);
      if (how === 'sink')
        memory.zero = memory.place = () => {
          throw new Error('the sink is full');
        };
      const controller = new AbortController();
      const to = { sink: memory, totalPages: PAGES };
      const call = channel.run({ type: 'precopy' }, controller.signal, to);
      call.catch(() => undefined);
      await sleep(20);
      if (how === 'sink') builder.ram(3, dirty(PAGES, 6)).devices(Uint8Array.of(1));
      if (how === 'sink') flush();
      if (how === 'end') close();
      if (how === 'abort') controller.abort();
      if (how === 'close') void channel.close();
      if (how === 'sink') await expect(call).rejects.toThrow('the sink is full');
      else await expect(call).rejects.toThrow(coded(how === 'abort' ? 'ABORTED' : 'CAPTURE_FAILED'));
      await channel.close();
      if (how !== 'end') close();
    }
  });

  test.each([0, 1000])(
    'learns of a stream that ends in a pause, after %i bytes of it, at once',
    async (bytes) => {
      const { pair, channel, builder, flush, close } = await connect(4 << 20);
      builder.header();
      flush();
      await channel.run({ type: 'header' }, never);
      builder.checkpoint(dirty(PAGES, 7), Uint8Array.of(1));
      const message = builder.out.take();
      writeSync(pair.theirs, message.subarray(0, 4));
      await channel.run({ type: 'request' }, never);
      channel.resumed = false;
      const to = { sink: new Memory(3), totalPages: PAGES };
      const call = channel.run({ type: 'checkpoint', expectedBytes: 1000 }, never, to);
      writeSync(pair.theirs, message.subarray(4, 4 + bytes));
      close();
      // Nobody says that the guest runs, as no QEMU would here.
      await expect(call).rejects.toThrow(coded('CAPTURE_FAILED'));
      await channel.close();
    },
  );

  test('says that a damaged stream is one, and where', async () => {
    const { channel, flush, builder, close } = await connect(1 << 20);
    builder.out.text('QEVX0000');
    flush();
    const error: unknown = await channel.run({ type: 'header' }, never).catch((thrown: unknown) => thrown);
    expect(isFitdocError(error, 'PROTOCOL_ERROR') && error.details).toEqual({ position: 0 });
    await channel.close();
    close();
  });

  test('gives a copy of a socket that Node made patience', async () => {
    const pair = socketPair(calls, 1 << 16);
    const copy = patientCopy(calls, pair.ours);
    for (const end of [pair.ours, pair.theirs, copy]) calls.close(end);
    expect(copy).toBeGreaterThan(2);
  });
});
