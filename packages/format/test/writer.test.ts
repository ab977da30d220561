import { describe, expect, it } from 'vitest';
import { LIMITS, writeCheckpoint, type ContentItem, type NewCheckpointHeader } from '../src/index.js';
import { failure } from './support/read.js';
import {
  changes,
  collect,
  devices,
  each,
  header,
  memory,
  plainCodec,
  sampleBase,
  write,
} from './support/sample.js';

const base = await sampleBase();
const [whole] = changes(memory(8), new Uint8Array(8 * 4096));
const [later] = changes(memory(2), new Uint8Array(2 * 4096), 6);
if (whole?.type !== 'batch' || later?.type !== 'batch') throw new Error('no batch');

const writing = (head: NewCheckpointHeader, ...items: ContentItem[]) => failure(() => write(head, items));

describe('the writer refuses', () => {
  it.each<[string, ContentItem[]]>([
    ['batches in descending order', [later, whole]],
    ['a batch twice', [whole, whole]],
    ['batches that overlap', [whole, ...changes(memory(2), new Uint8Array(2 * 4096), 4)]],
    ['pages that the machine has not', changes(memory(2), new Uint8Array(2 * 4096), 8)],
    ['a batch without pages', [{ ...whole, gfns: new Uint32Array(0) }]],
    ['a batch whose counts differ', [{ ...whole, gfns: Uint32Array.of(1) }]],
    ['page numbers that do not ascend', [{ ...whole, gfns: Uint32Array.of(3, 2, 1, 0) }]],
    ['counts that are none', [{ ...whole, encoded: { ...whole.encoded, changedWords: 0.5 } }]],
    [
      'two device states',
      [
        { type: 'deviceState', state: [] },
        { type: 'deviceState', state: [] },
      ],
    ],
    ['a previous device state in a base', [{ type: 'deviceState', state: devices(), previous: devices() }]],
    ['device parts of one name', [{ type: 'deviceState', state: [...devices(), ...devices()] }]],
    ['a device part without name', [{ type: 'deviceState', state: [{ name: '', bytes: memory(1) }] }]],
    ['metrics that are no JSON', [{ type: 'metrics', metrics: { pauseMs: Number.NaN } }]],
    ['metrics beyond their cap', [{ type: 'metrics', metrics: { text: 'x'.repeat(LIMITS.metrics) } }]],
    ['an extension with a bad name', [{ type: 'extension', name: 'Ü', bytes: memory(1) }]],
  ])('%s', async (_name, items) => {
    expect(await writing(header(8), ...items)).toBe('ARGUMENT_INVALID');
  });

  it.each<[string, Partial<NewCheckpointHeader> | Record<string, unknown>]>([
    ['a base with a parent', { parent: { id: base.summary.id, contentHash: base.summary.contentHash } }],
    ['an increment without one', { kind: 'increment' }],
    [
      'a parent whose id is not of its hash',
      { kind: 'increment', parent: { id: '0', contentHash: base.summary.contentHash } },
    ],
    ['a parent without a hash', { kind: 'increment', parent: { id: base.summary.id, contentHash: 'abc' } }],
    ['a superseded checkpoint without a hash', { supersedes: [base.summary.id] }],
    ['too many superseded checkpoints', { supersedes: new Array(257).fill(base.summary.contentHash) }],
    ['a state without a role', { state: 'a'.repeat(64) }],
    ['a role without a state', { role: 'base' }],
    ['a state that is no hash', { state: 'abc', role: 'base' }],
    ['a role that is none', { state: 'a'.repeat(64), role: 'ladder' }],
    ['a base as a short cut', { state: 'a'.repeat(64), role: 'shortcut' }],
    ['a state, and others superseded', { state: 'a'.repeat(64), role: 'base', supersedes: ['b'.repeat(64)] }],
    ['a captured checkpoint that was made of others', { merges: ['a'.repeat(64)] }],
    [
      'one made of too many',
      { state: 'a'.repeat(64), role: 'base', merges: new Array(257).fill('b'.repeat(64)) },
    ],
    [
      'a state that is its own parent',
      {
        kind: 'increment',
        parent: { id: base.summary.id, contentHash: base.summary.contentHash },
        ...{ state: base.summary.contentHash, role: 'merged' },
      },
    ],
    ['another format version', { formatVersion: 2 }],
    ['another page size', { pageSize: 16384 }],
    ['another word size', { wordSize: 4 }],
    ['a negative sequence', { sequence: -1 }],
    ['a time that is none', { createdAtMs: Number.NaN }],
    ['a machine without a proper id', { machine: { ...header(8).machine, id: 'a/b' } }],
    [
      'regions with a gap',
      { machine: { ...header(8).machine, regions: [{ name: 'r', firstGfn: 1, pages: 2, kind: 'ram' }] } },
    ],
    [
      'regions beyond 4 TiB',
      {
        machine: { ...header(8).machine, regions: [{ name: 'r', firstGfn: 0, pages: 2 ** 31, kind: 'ram' }] },
      },
    ],
  ])('%s', (_name, change) => {
    const head = { ...header(8), ...change } as NewCheckpointHeader;
    expect(() => writeCheckpoint(head, each([]))).toThrowError(
      expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
    );
  });

  it('what is beyond a size cap', async () => {
    const bytes = new Uint8Array(LIMITS.batch + 1);
    expect(await writing(header(8), { ...whole, encoded: { ...whole.encoded, bytes } })).toBe('FORMAT_LIMIT');
    const part = { name: 'gpu', bytes: new Uint8Array(LIMITS.deviceState + 1) };
    expect(await writing(header(8), { type: 'deviceState', state: [part] })).toBe('FORMAT_LIMIT');
    const huge = {
      ...header(8),
      machine: { ...header(8).machine, platform: { text: 'x'.repeat(LIMITS.header) } },
    };
    expect(await writing(huge)).toBe('FORMAT_LIMIT');
  });
});

describe('the writer', () => {
  it('passes on the error of its content as it is, to the stream and to the summary', async () => {
    const cause = new Error('the disk went away');
    async function* content(): AsyncGenerator<ContentItem> {
      yield { ...whole } as ContentItem;
      throw cause;
    }
    const output = writeCheckpoint(header(8), content());
    await expect(collect(output.stream)).rejects.toBe(cause);
    await expect(output.summary).rejects.toBe(cause);
  });

  it('leaves no unhandled rejection when nobody listens to the summary', async () => {
    const seen: unknown[] = [];
    const listener = (reason: unknown) => seen.push(reason);
    process.on('unhandledRejection', listener);
    try {
      // eslint-disable-next-line require-yield
      async function* content(): AsyncGenerator<ContentItem> {
        throw new Error('no content');
      }
      await expect(collect(writeCheckpoint(header(8), content()).stream)).rejects.toThrow('no content');
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(seen).toEqual([]);
    } finally {
      process.off('unhandledRejection', listener);
    }
  });

  it('pulls its content one item at a time, and lets it go when its reader stops', async () => {
    let [asked, closed] = [0, false];
    async function* content(): AsyncGenerator<ContentItem> {
      try {
        for (let gfn = 0; gfn < 100; gfn += 1) {
          asked += 1;
          yield* changes(memory(1), new Uint8Array(4096), gfn);
        }
      } finally {
        closed = true;
      }
    }
    const output = writeCheckpoint(header(100), content());
    const iterator = output.stream[Symbol.asyncIterator]();
    await iterator.next();
    expect(asked).toBe(0);
    await iterator.next();
    expect(asked).toBe(1);
    await iterator.next();
    expect(asked).toBe(2);
    await iterator.return?.();
    expect(closed).toBe(true);
    await expect(output.summary).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('stops when it is cancelled', async () => {
    const controller = new AbortController();
    async function* content(): AsyncGenerator<ContentItem> {
      yield whole as ContentItem;
      controller.abort();
      yield { type: 'metrics', metrics: {} };
    }
    const output = writeCheckpoint(header(8), content(), { signal: controller.signal, codec: plainCodec });
    await expect(collect(output.stream)).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(output.summary).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('drops fractions of a millisecond', async () => {
    const { summary } = await write({ ...header(8), createdAtMs: 12.75, capturedAtMs: 11.5 }, []);
    expect(summary).toMatchObject({ createdAtMs: 12, capturedAtMs: 11 });
  });
});
