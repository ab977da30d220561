import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PAGE_SIZE, totalPages, type MemoryRegion } from '@fitdoc/interface';
import { describe, expect, test } from 'vitest';
import { ByteQueue, type Parse } from '../src/stream/byte-queue.js';
import { readCheckpoint, readRequest } from '../src/stream/checkpoint.js';
import { readPrecopy } from '../src/stream/precopy.js';
import { SectionReader } from '../src/stream/sections.js';

const captures = fileURLToPath(new URL('../../../../shared/captures/', import.meta.url));
const there = existsSync(`${captures}qemu-7.2-colo.raw.xz`);
if (!there) process.stderr.write('skipped: the captured QEMU stream is not on this machine\n');

type Hashes = Readonly<Record<string, string>>;
interface Golden {
  readonly base: Hashes;
  readonly ck: readonly {
    readonly pages: number;
    readonly zero: number;
    readonly dev: number;
    readonly devSha: string;
    readonly ram: Hashes;
  }[];
}

describe.skipIf(!there)('the captured stream of a real QEMU', () => {
  test('decodes to its golden hashes', async () => {
    const golden = JSON.parse(readFileSync(`${captures}qemu-7.2-colo.golden.json`, 'utf8')) as Golden;
    const queue = new ByteQueue();
    const unpack = spawn('xz', ['-dc', `${captures}qemu-7.2-colo.raw.xz`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const chunks = unpack.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const run = async <Result>(parse: Parse<Result>): Promise<Result> => {
      for (;;) {
        const step = parse.next();
        if (step.done === true) return step.value;
        while (queue.available < step.value) queue.push((await chunks.next()).value as Buffer);
      }
    };
    const sections = new SectionReader(queue);
    const header = await run(sections.readHeader());
    const regions = header.blocks.map(({ name, size, firstGfn }) => ({
      name,
      firstGfn,
      pages: size / PAGE_SIZE,
      kind: 'ram' as const,
    }));
    const sink = memorySink(totalPages(regions));
    await run(readPrecopy(queue, sections, sink));
    expect(header.machineType).toBe('pc-q35-7.2');
    expect(hashes(sink.bytes, regions)).toEqual(golden.base);
    for (const [index, expected] of golden.ck.entries()) {
      const before = { ...sections.ram.counts };
      await run(readRequest(queue));
      const state = await run(readCheckpoint(queue, sections, sink, { begun: 0, memory: 0, devices: 0 }));
      expect(sections.ram.counts.pages - before.pages).toBe(expected.pages);
      expect(sections.ram.counts.zeroPages - before.zeroPages).toBe(expected.zero);
      expect(state.length).toBe(expected.dev);
      expect(createHash('sha256').update(state).digest('hex')).toBe(expected.devSha);
      // Hashing main memory takes longest: at the ends and in the middle, as nothing in between could heal.
      const small = [0, 4, golden.ck.length - 1].includes(index)
        ? regions
        : regions.filter(({ name }) => name !== 'pc.ram');
      const wanted = Object.fromEntries(small.map(({ name }) => [name, expected.ram[name]]));
      expect(hashes(sink.bytes, small)).toEqual(wanted);
    }
    unpack.kill();
  }, 300_000);
});

function memorySink(pages: number) {
  const bytes = new Uint8Array(pages * PAGE_SIZE);
  return {
    bytes,
    reserve: () => true,
    place: (gfn: number) => bytes.subarray(gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE),
    zero: (gfn: number, count: number) => void bytes.fill(0, gfn * PAGE_SIZE, (gfn + count) * PAGE_SIZE),
  };
}

function hashes(bytes: Uint8Array, regions: readonly MemoryRegion[]): Hashes {
  return Object.fromEntries(
    regions.map(({ name, firstGfn, pages }) => [
      name,
      createHash('sha256')
        .update(bytes.subarray(firstGfn * PAGE_SIZE, (firstGfn + pages) * PAGE_SIZE))
        .digest('hex'),
    ]),
  );
}
