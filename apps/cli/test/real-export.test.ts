import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  missingForKvm,
  missingForQemu,
  startGuest,
  waitForHeartbeats,
  type GuestOptions,
} from '../../../tools/lab/src/qemu/index.js';
import { fitdoc, folder } from './cli.js';

const qemu = gate('qemu', await missingForQemu());
const emulated = (await missingForKvm()) !== undefined;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function boot(options: GuestOptions): ReturnType<typeof startGuest> {
  const guest = await startGuest(options);
  cleanups.push(() => guest.stop());
  return guest;
}

interface Segment {
  readonly address: number;
  readonly bytes: number;
  readonly offset: number;
}

/** Segments of memory in the program headers at a core's start. */
function loadSegments(head: Buffer): Segment[] {
  const start = Number(head.readBigUInt64LE(32));
  return Array.from({ length: head.readUInt16LE(56) }, (_, index) => start + index * 56)
    .filter((at) => head.readUInt32LE(at) === 1)
    .map((at) => {
      const [offset, address, bytes] = [8, 24, 32].map((field) => Number(head.readBigUInt64LE(at + field)));
      return { offset: offset!, address: address!, bytes: bytes! };
    });
}

const places = (segments: readonly Segment[]): unknown =>
  segments.map(({ address, bytes }) => [address.toString(16), bytes.toString(16)]);

/** Has a stopped guest's QEMU dump its memory into `fifo`, where it waits for a reader. Its end: by itself, or its reader's. */
async function dump(qmpPath: string, fifo: string): Promise<void> {
  const socket = connect(qmpPath);
  // Its QEMU may end first.
  socket.on('error', () => undefined);
  const send = (execute: string, args = {}): boolean =>
    socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
  let answers = 0;
  send('qmp_capabilities');
  send('dump-guest-memory', { paging: false, protocol: `file:${fifo}` });
  for await (const line of createInterface({ input: socket })) {
    const answer = JSON.parse(line) as { return?: object; error?: object };
    if ((answer.return ?? answer.error) && ++answers === 2) break;
  }
  socket.destroy();
}

/** What comes through `fifo`, in pieces of which the first holds all headers. */
async function* pieces(fifo: string): AsyncGenerator<Buffer, void> {
  let held: Buffer[] = [];
  let length = 0;
  for await (const piece of createReadStream(fifo, { highWaterMark: 1 << 20 })) {
    held.push(piece as Buffer);
    length += (piece as Buffer).length;
    if (length < 4096) continue;
    yield Buffer.concat(held);
    held = [];
  }
}

/**
 * Compares an export with QEMU's own dump as that comes in, for it may be larger than is sensible to keep: the
 * place of every segment, and the first `limit` bytes. Gives how many bytes were the same.
 */
async function compareWithDump(file: string, fifo: string, limit: number): Promise<number> {
  const ours = await open(file);
  cleanups.push(() => ours.close());
  const head = Buffer.alloc(4096);
  await ours.read(head, 0, head.length, 0);
  const segments = loadSegments(head);
  let theirs: Segment[] | undefined;
  let position = 0;
  let compared = 0;
  for await (const piece of pieces(fifo)) {
    theirs ??= loadSegments(piece);
    if (position === 0) expect(places(segments)).toEqual(places(theirs));
    for (const [index, { offset, bytes, address }] of theirs.entries()) {
      const from = Math.max(position, offset);
      const to = Math.min(position + piece.length, offset + bytes);
      if (from >= to) continue;
      const mine = Buffer.alloc(to - from);
      await ours.read(mine, 0, mine.length, segments[index]!.offset + from - offset);
      if (mine.compare(piece, from - position, to - position) !== 0)
        throw new Error(`memory differs at or after address 0x${(address + from - offset).toString(16)}`);
      compared += to - from;
    }
    position += piece.length;
    if (position >= limit) break;
  }
  return compared;
}

/** In KiB. */
const MIB = 1024;
const backends = [
  ...[
    '-object',
    'memory-backend-memfd,id=m0,size=32M,share=on',
    '-object',
    'memory-backend-ram,id=m1,size=32M',
  ],
  ...['-numa', 'node,memdev=m0', '-numa', 'node,memdev=m1', '-device', 'VGA,vgamem_mb=1'],
];

describe.skipIf(qemu.skip)(qemu.title('fitdoc export --format elf'), () => {
  it.each<[string, string, number, readonly string[], number?]>([
    ['a q35 guest whose memory goes beyond 4 GiB', 'q35', 2820 * MIB, [], 48 * MIB],
    ['a pc guest with a memory backend a node, split early', 'pc,max-ram-below-4g=48M', 64 * MIB, backends],
    ['a q35 guest with a memory backend a node', 'q35', 64 * MIB, backends],
  ])(
    "writes %s as QEMU's own dump has it, segment by segment",
    async (_, machine, memoryKib, extraArgs, limitKib = memoryKib * 2) => {
      const options: GuestOptions = {
        accel: emulated ? 'tcg' : 'kvm',
        guest: 'firmware',
        machine,
        memoryKib,
        shim: false,
        extraArgs,
      };
      const guest = await boot(options);
      await waitForHeartbeats(guest.serialPath, (beats) => beats.length > 1);
      const made = await folder();
      cleanups.push(made.remove);
      const store = path.join(made.path, 'r');
      const core = path.join(made.path, 'core');
      const fifo = path.join(made.path, 'dump');
      expect(await fitdoc('save', `kvm:${guest.qmpPath}`, '--store', store, '--init')).toMatchObject({
        code: 0,
      });
      await guest.stop();
      const exported = await fitdoc('export', 'latest', '--store', store, '--format', 'elf', '-o', core);
      expect(exported).toMatchObject({ code: 0 });
      const target = await boot({ ...options, incoming: true, extraArgs: [...extraArgs, '-S'] });
      const restored = await fitdoc('restore', 'latest', '--store', store, '--to', `kvm:${target.qmpPath}`);
      expect(restored).toMatchObject({ code: 0 });
      execFileSync('mkfifo', [fifo]);
      const [compared] = await Promise.all([
        compareWithDump(core, fifo, limitKib * 1024),
        dump(target.qmpPath, fifo),
      ]);
      expect(compared).toBeGreaterThanOrEqual((Math.min(memoryKib, limitKib) - MIB) * 1024);
    },
    300_000,
  );
});
