import { FitdocError, PAGE_SIZE } from '@fitdoc/interface';
import { describe, expect, it } from 'vitest';
import { bytesSource, openCheckpoint, type ContentItem, type StoredDisk } from '../src/index.js';
import { encodeJson } from '../src/canonical-json.js';
import { RECORD_DISK } from '../src/layout.js';
import { forge } from './support/forge.js';
import { takeApart } from './support/parts.js';
import { failure, readAll, replayDisk, streamAll } from './support/read.js';
import { changes, header, plainCodec, write } from './support/sample.js';

const SPAN = 2 ** 30;

/** A block that says which it is. */
function block(number: number): Uint8Array {
  return new Uint8Array(PAGE_SIZE).fill((number % 251) + 1);
}

/** Blocks of one span as one batch. */
function blocks(disk: number, numbers: readonly number[]): ContentItem {
  const span = Math.floor((numbers[0] ?? 0) / SPAN);
  const gfns = Uint32Array.from(numbers, (number) => number - span * SPAN);
  const encoded = plainCodec.encode({
    gfns,
    kinds: new Uint8Array(gfns.length).fill(2),
    masks: new Uint8Array(0),
    words: new Uint8Array(0),
    pages: new Uint8Array(Buffer.concat(numbers.map(block))),
  }) as never;
  return { type: 'blocks', disk, span, encoded, gfns };
}

const disk = (name: string, sizeBytes: number, kind: StoredDisk['kind'] = 'full'): StoredDisk => ({
  ...{ name, sizeBytes, kind },
});
const withDisks = (...disks: StoredDisk[]) => ({ ...header(8), disks });

describe('a checkpoint with disks', () => {
  it('has version 2; one without has version 1, and not a byte more than it had', async () => {
    const plain = await write(header(8), []);
    expect(plain.summary.formatVersion).toBe(1);
    expect(plain.summary.disks).toBeUndefined();
    expect(Buffer.compare((await write({ ...header(8), disks: [] }, [])).bytes, plain.bytes)).toBe(0);
    expect((await write(withDisks(disk('a', 0)), [])).summary).toMatchObject({ formatVersion: 2, disks: 1 });
  });

  it('reads at random what was written, for a disk of 16 TiB too', async () => {
    const numbers = [0, 1, SPAN - 1, SPAN, 2 * SPAN + 7, 4 * SPAN - 1];
    const items = [[0, 1], [SPAN - 1], [SPAN], [2 * SPAN + 7], [4 * SPAN - 1]].map((list) => blocks(1, list));
    const head = withDisks({ ...disk('small', 5000), moment: 'a-1.b_2' }, disk('large', 2 ** 44));
    const { bytes, summary } = await write(head, [blocks(0, [1]), ...items]);
    expect(summary).toMatchObject({ disks: 2, diskBatches: 6, diskBlocks: 7, pages: 0, batches: 0 });
    for (const contents of [await readAll(bytes), await streamAll(bytes)]) {
      expect(contents.header.disks).toEqual(head.disks);
      const large = contents.disks[1]!;
      const read = large.batches.flatMap(({ firstBlock, batch }) =>
        [...batch.gfns].map((gfn) => firstBlock + gfn),
      );
      expect(read).toEqual(numbers);
      for (const { firstBlock, batch } of large.batches) {
        const first = block(firstBlock + (batch.gfns[0] ?? 0));
        expect(Buffer.compare(batch.pages.subarray(0, PAGE_SIZE), first)).toBe(0);
      }
    }
  });

  it('keeps batches of memory and of disks apart, in whatever order they come', async () => {
    const memory = new Uint8Array(8 * PAGE_SIZE);
    const changed = memory
      .slice()
      .fill(7, 0, 100)
      .fill(8, 5 * PAGE_SIZE);
    const [low] = changes(changed.subarray(0, 4 * PAGE_SIZE), memory.slice(0, 4 * PAGE_SIZE));
    const [high] = changes(changed.subarray(4 * PAGE_SIZE), memory.slice(0, 4 * PAGE_SIZE), 4);
    const items = [low!, blocks(0, [2]), high!, blocks(0, [5])];
    const { bytes, summary } = await write(withDisks(disk('vda', 6 * PAGE_SIZE)), items);
    expect(summary).toMatchObject({ batches: 2, diskBatches: 2 });
    expect((await readAll(bytes)).batches).toHaveLength(2);
    const image = await replayDisk([bytes], 'vda');
    expect([image[2 * PAGE_SIZE], image[5 * PAGE_SIZE], image[0]]).toEqual([3, 6, 0]);
    const reader = await openCheckpoint(bytesSource(bytes));
    expect(await reader.verify({ data: true })).toMatchObject({ ok: true });
  });

  it.each<[string, StoredDisk[], ContentItem[]]>([
    ['blocks beyond the disk', [disk('a', PAGE_SIZE)], [blocks(0, [1])]],
    ['blocks of a disk that is none', [disk('a', PAGE_SIZE)], [blocks(1, [0])]],
    ['blocks out of order', [disk('a', 9 * PAGE_SIZE)], [blocks(0, [4]), blocks(0, [3])]],
    ['disks out of order', [disk('a', PAGE_SIZE), disk('b', PAGE_SIZE)], [blocks(1, [0]), blocks(0, [0])]],
    ['two disks of one name', [disk('a', 1), disk('a', 1)], []],
    ['a disk that is too large', [disk('a', 2 ** 44 + 1)], []],
    ['a moment that is no name', [{ ...disk('a', 1), moment: 'a b' }], []],
    ['an increment of a disk in a base', [disk('a', 1, 'increment')], []],
  ])('is not written with %s', async (_, disks, items) => {
    expect(await failure(() => write(withDisks(...disks), items))).toBe('ARGUMENT_INVALID');
  });
});

describe('damage of disks', async () => {
  const head = withDisks(disk('a', 4 * PAGE_SIZE), disk('b', 4 * PAGE_SIZE));
  const { bytes } = await write(head, [blocks(0, [1]), blocks(1, [2])]);
  const parts = takeApart(bytes);
  const first = parts.records.findIndex(({ type }) => type === RECORD_DISK);
  const claim = (change: object) => ({
    ...parts,
    version: 2,
    records: parts.records.map((record, at) =>
      at === first ? { ...record, claim: { ...record.claim, ...change } } : record,
    ),
  });
  const summary = (change: object) => ({
    ...parts,
    version: 2,
    summary: encodeJson({ ...(JSON.parse(new TextDecoder().decode(parts.summary)) as object), ...change }),
  });

  it('is told from none', async () => {
    expect(Buffer.compare(forge({ ...parts, version: 2 }), bytes)).toBe(0);
  });

  it.each([
    ['another disk than the record says', claim({ space: 2 })],
    ['no disk', claim({ space: 0 })],
    ['a disk that is not there', claim({ space: 3 })],
    ['another block', claim({ firstGfn: 0, lastGfn: 0 })],
    ['a block beyond the disk', claim({ lastGfn: 4 })],
    ['other totals', summary({ diskBlocks: 3 })],
    ['no disks', summary({ disks: undefined })],
    ['version 1', { ...parts, version: 1 }],
  ])('is found: %s', async (_, forgery) => {
    const forged = forge(forgery);
    expect(await failure(() => verified(forged))).toBe('FORMAT_DAMAGED');
    expect(await failure(() => streamAll(forged))).toBe('FORMAT_DAMAGED');
  });

  it('flipped bits are found by a verification', async () => {
    const reader = await openCheckpoint(bytesSource(bytes));
    const [batch] = reader.disks[1]!.spans[0]!.batches;
    const flipped = bytes.slice();
    flipped[batch!.offset + 60]! ^= 1;
    const report = await (await openCheckpoint(bytesSource(flipped))).verify({ data: true });
    expect(report.findings).toMatchObject([{ code: 'FORMAT_DAMAGED', record: 'DISK', firstGfn: 2 }]);
  });
});

/** Reads all of it, and throws the first finding. */
async function verified(bytes: Uint8Array): Promise<void> {
  const report = await (await openCheckpoint(bytesSource(bytes))).verify({ data: true });
  const [finding] = report.findings;
  if (finding) throw new FitdocError(finding.code, finding.message);
}
