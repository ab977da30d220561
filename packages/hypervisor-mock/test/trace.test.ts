import { existsSync, readdirSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zstd from '@foxglove/wasm-zstd';
import { PAGE_SIZE } from '@fitdoc/interface';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MockHypervisor } from '../src/mock-hypervisor.js';
import type { MockGuest } from '../src/mock-guest.js';
import { parseTrace, readTrace } from '../src/trace-file.js';
import { unpack } from '../src/zstd.js';
import { attach, capture, checkpoint, directory, OracleSink } from './support.js';

const recording = fileURLToPath(new URL('../recordings/office.ramtrace.zst', import.meta.url));
const shared = fileURLToPath(new URL('../../../../shared/traces', import.meta.url));
const code = (name: string) => expect.objectContaining({ code: name }) as Error;

/** Replays a recording to its end, and compares every capture with an array that is patched by hand. */
async function replay(file: string): Promise<number> {
  const trace = await readTrace(file);
  const expected = new Uint8Array(trace.memoryPages * PAGE_SIZE);
  const { machine, sink } = await attach(`trace:${file}`);
  for (const [index, { gfns, bytes }] of [trace.base, ...trace.epochs].entries()) {
    gfns.forEach((gfn, i) =>
      expected.set(bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE), gfn * PAGE_SIZE),
    );
    const harvest = await capture(machine, sink);
    expect(harvest.kind).toBe(index === 0 ? 'full' : 'increment');
    if (index > 0) expect(sink.placed).toBe(gfns.length);
    // Comparing all of a large memory takes long: of the epochs between, the pages that they changed decide.
    for (const gfn of gfns.subarray(0, 200)) {
      const [from, to] = [gfn * PAGE_SIZE, (gfn + 1) * PAGE_SIZE];
      expect(Buffer.compare(sink.memory.subarray(from, to), expected.subarray(from, to))).toBe(0);
    }
  }
  expect(Buffer.compare(sink.memory, expected)).toBe(0);
  expect(machine.gone.aborted).toBe(true);
  const end = { code: 'MACHINE_GONE', details: { ended: true } };
  expect(machine.gone.reason).toMatchObject(end);
  await expect(capture(machine, sink)).rejects.toMatchObject(end);
  return trace.epochs.length;
}

test('the recording of the repository is replayed, one epoch a capture, and ends', async () => {
  expect(await replay(recording)).toBeGreaterThanOrEqual(21);
});

const others = existsSync(shared) ? readdirSync(shared).filter((name) => name.endsWith('.ramtrace.zst')) : [];
describe.skipIf(others.length === 0)(`recordings beside the repository (skipped without ${shared})`, () => {
  test.each(others)('%s', async (name) => expect(await replay(path.join(shared, name))).toBeGreaterThan(0));
});

test('a last epoch that was not stored is delivered again', async () => {
  const trace = await readTrace(recording);
  const { machine, sink } = await attach(`trace:${recording}?from=${trace.epochs.length - 1}`);
  await capture(machine, sink);
  for (let i = 0; i < 2; i++) await (await sink.capture(machine)).rollback();
  expect(machine.gone.aborted).toBe(false);
  await capture(machine, sink);
  expect(sink.placed).toBeGreaterThan(0);
  expect(machine.gone.aborted).toBe(true);
});

test('a restored replay goes on where it was, and stands still without its recording', async () => {
  const place = await directory();
  const file = path.join(place, 'copy.ramtrace.zst');
  await copyFile(recording, file);
  const { hypervisor, machine } = await attach(`trace:${file}`);
  const source = await checkpoint(machine, 5);
  await hypervisor.restore('b', source);
  await hypervisor.restore(`file:${place}/vm`, source);
  const again = await hypervisor.attach('b');
  const [original, copy] = [new OracleSink(machine.info.regions), new OracleSink(machine.info.regions)];
  await (await original.capture(machine, { full: true })).commit();
  await (await copy.capture(again)).commit();
  expect(Buffer.compare(original.memory, copy.memory)).toBe(0);
  expect((hypervisor.machine('b') as MockGuest).proof().ok).toBe(true);
  await again.detach();

  await writeFile(file, '');
  await expect(hypervisor.attach(`file:${place}/vm`)).rejects.toThrow(code('LOCATION_INVALID'));
  const { rm } = await import('node:fs/promises');
  await rm(file);
  const still = await hypervisor.attach(`file:${place}/vm`);
  expect(still.supports.limits.join()).toContain('stands still');
  await capture(still, new OracleSink(still.info.regions), 2);
  await still.detach();
});

describe('what is no recording', () => {
  test('is not found, or refused', async () => {
    const hypervisor = new MockHypervisor();
    await expect(hypervisor.attach('trace:/nowhere')).rejects.toThrow(code('MACHINE_NOT_FOUND'));
    const file = path.join(await directory(), 'x');
    const packed = await readFile(recording);
    const cases = [Buffer.alloc(0), Buffer.from('no zstd stream, but long enough'), packed.subarray(0, 5000)];
    for (const bytes of cases) {
      await writeFile(file, bytes);
      await expect(hypervisor.attach(`trace:${file}`)).rejects.toThrow(code('LOCATION_INVALID'));
    }
    await expect(hypervisor.restore(`trace:${recording}`, {} as never)).rejects.toThrow(
      code('LOCATION_INVALID'),
    );
  });

  test('streams that do not tell their size are unpacked all the same', async () => {
    await zstd.isLoaded;
    const raw = new Uint8Array(300_000).map((_, i) => (i >> 8) & 7);
    const packed = zstd.compress(raw, 3);
    // The frame as a pipe would have made it: no single segment, no content size, a window of 512 KiB.
    const size = 4 + 1 + 4;
    expect(packed[4]! >> 6).toBe(2);
    const piped = Buffer.concat([packed.subarray(0, 4), Buffer.of(0, 9 << 3), packed.subarray(size)]);
    expect(Buffer.compare(await unpack(piped, 'x'), raw)).toBe(0);
  });

  test('is refused whatever its bytes are', () => {
    const header = { format: 'ram-trace-v1', pageSize: 4096, memoryPages: 4, basePages: 1, epochs: [1] };
    const build = (changes: object, pages: number[]) => {
      const json = Buffer.from(JSON.stringify({ ...header, ...changes }));
      const parts = [Buffer.from(Uint32Array.of(json.length).buffer), json];
      for (const gfn of pages) parts.push(Buffer.from(Uint32Array.of(gfn).buffer), Buffer.alloc(4096, gfn));
      return Buffer.concat(parts);
    };
    expect(parseTrace(build({}, [1, 2]), 'x').epochs).toHaveLength(1);
    const bad = [
      build({ format: 'other' }, [1, 2]),
      build({ pageSize: 16384 }, [1, 2]),
      build({ memoryPages: 0 }, [1, 2]),
      build({ memoryPages: 2 ** 40 }, [1, 2]),
      build({ basePages: -1 }, [1, 2]),
      build({ epochs: 'many' }, [1, 2]),
      build({ epochs: [0.5] }, [1, 2]),
      build({ epochs: [2 ** 40] }, [1, 2]),
      build({}, [1, 4]),
      build({}, [1]),
      build({}, [1, 2, 3]),
    ];
    for (const bytes of bad) expect(() => parseTrace(bytes, 'x')).toThrow(code('LOCATION_INVALID'));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => parseTrace(bytes, 'x')).toThrow(code('LOCATION_INVALID'));
      }),
    );
  });
});
