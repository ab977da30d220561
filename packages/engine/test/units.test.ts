import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { PAGE_SIZE } from '@fitdoc/interface';
import { CheckpointSource, exportRaw } from '@fitdoc/engine';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectFile } from '../src/export/direct-file.js';
import type { OpenLink } from '../src/read/replay.js';
import { planUnits } from '../src/read/units/plan.js';
import { setUp, takeMany, type Setup } from './support.js';

let setup: Setup | undefined;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'fitdoc-units-'));
});
afterEach(async () => {
  await setup?.close();
  setup = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** So little memory that no increment fits: pages are then rebuilt in windows. */
const WINDOWS = { memory: 64 };

async function hashOf(source: CheckpointSource): Promise<string> {
  const hash = createHash('sha256');
  for await (const { gfn, bytes } of source.pages()) {
    for (let page = 0; page < bytes.length / PAGE_SIZE; page++) {
      hash.update(String(gfn + page)).update(bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE));
    }
  }
  return hash.digest('hex');
}

describe('units', () => {
  it.each(['kv', 'database', 'stencil', 'random', 'idle', 'compiler'])(
    'show what windows show: %s',
    async (workload) => {
      const made = (setup = await setUp(`memory=24M&working=8M&workload=${workload}&seed=11`));
      const protection = await made.engine.protect(made.machine, made.repository);
      const taken = await takeMany(protection, 7, made.hash);
      for (const { id } of [taken[0]!, taken[3]!, taken[6]!]) {
        const entry = await made.repository.resolve(id);
        const read = (options: object) =>
          CheckpointSource.use(made.engine, made.repository, entry, options, hashOf);
        expect(await read({})).toBe(await read(WINDOWS));
      }
    },
  );

  it('are written to a file as windows are, with holes where memory is zero', async () => {
    const made = (setup = await setUp('memory=24M&working=4M&workload=kv&seed=2'));
    const protection = await made.engine.protect(made.machine, made.repository);
    await takeMany(protection, 5, made.hash);
    const entry = await made.repository.resolve('latest');
    const write = (name: string, options: object) =>
      CheckpointSource.use(made.engine, made.repository, entry, options, (source) =>
        exportRaw(source, path.join(folder, name)),
      );
    const direct = await write('direct', {});
    expect(direct).toEqual(await write('windows', WINDOWS));
    const bytes = await readFile(path.join(folder, 'direct'));
    expect(bytes.equals(await readFile(path.join(folder, 'windows')))).toBe(true);
    const { blocks } = await stat(path.join(folder, 'direct'));
    expect(blocks * 512).toBeLessThanOrEqual(direct.pages * PAGE_SIZE + 65_536);
  });

  it('are written once more where direct writes are refused, and a full disk is no such refusal', async () => {
    const written = path.join(folder, 'file');
    const handle = await open(written, 'w');
    const file = await DirectFile.of(handle);
    // What does not begin at a page of memory no direct write takes.
    const bytes = new Uint8Array(3 * PAGE_SIZE + 1).map((_, index) => index % 251).subarray(1);
    await file.write(bytes.subarray(0, PAGE_SIZE), 0);
    await file.write(bytes.subarray(PAGE_SIZE), PAGE_SIZE);
    await file.close();
    await handle.close();
    expect((await readFile(written)).equals(bytes)).toBe(true);
    const full = await open('/dev/full', 'w');
    const refused = await DirectFile.of(full);
    await expect(refused.write(bytes, 0)).rejects.toMatchObject({ code: 'ENOSPC' });
    await refused.close();
    await full.close();
  });

  it('cut any run without gap or overlap, each with its own batch and no more pages than there is room for', () => {
    const ascending = (length: number) =>
      fc.uniqueArray(fc.nat(20_000), { maxLength: length }).map((list) => Uint32Array.from(list).sort());
    fc.assert(
      fc.property(
        ascending(40),
        ascending(4000),
        fc.nat(20_000),
        fc.integer({ min: 1, max: 20_000 }),
        (starts, layered, start, count) => {
          const batches = [...starts].map((firstGfn, index) => ({
            firstGfn,
            lastGfn: (starts[index + 1] ?? firstGfn + 1) - 1,
          }));
          const base = { reader: { batches } } as unknown as OpenLink;
          const units = [...planUnits(base, layered, { start, count })];
          expect(units[0]?.start).toBe(start);
          expect(units.at(-1)?.end).toBe(start + count);
          units.forEach((unit, index) => {
            if (index > 0) expect(unit.start).toBe(units[index - 1]!.end);
            expect(unit.end).toBeGreaterThan(unit.start);
            const within = layered.filter((gfn) => gfn >= unit.start && gfn < unit.end);
            expect(within.length).toBeLessThanOrEqual(1024);
            batches.forEach(({ firstGfn, lastGfn }, batch) => {
              if (firstGfn < unit.end && lastGfn >= unit.start) expect(unit.batch).toBe(batch);
            });
          });
        },
      ),
    );
  });
});
