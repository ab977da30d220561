import { createCodec } from '@fitdoc/codec';
import { KIND_WHOLE } from '@fitdoc/interface';
import { expect, it } from 'vitest';
import { bytesSource, openCheckpoint, readSummary, writeCheckpoint, type ContentItem } from '../src/index.js';

it('writes and reads', async () => {
  const codec = await createCodec({ compressor: 'none' });
  const gfns = Uint32Array.of(3, 7);
  const batch = {
    gfns,
    kinds: Uint8Array.of(KIND_WHOLE, 1),
    masks: new Uint8Array(0),
    words: new Uint8Array(0),
    pages: new Uint8Array(4096).fill(5),
  };
  async function* content(): AsyncGenerator<ContentItem> {
    yield { type: 'batch', encoded: codec.encode(batch), gfns };
    yield { type: 'metrics', metrics: { pauseMs: 1.5 } };
    yield { type: 'extension', name: 'a.b', bytes: Uint8Array.of(1, 2, 3) };
  }
  const out = writeCheckpoint(
    {
      machine: {
        id: 'm',
        name: 'n',
        hypervisor: 'mock',
        scheme: 'mock',
        architecture: 'x86_64',
        regions: [{ name: 'ram', firstGfn: 0, pages: 16, kind: 'ram', gpa: 0n }],
        platform: {},
        disks: [],
      },
      sequence: 1,
      createdAtMs: 1,
      capturedAtMs: 2,
      kind: 'base',
      tool: 't',
    },
    content(),
    { codec },
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of out.stream) chunks.push(chunk);
  const bytes = new Uint8Array(Buffer.concat(chunks));
  const summary = await out.summary;
  expect(summary.bytes).toBe(bytes.length);
  expect(await readSummary(bytesSource(bytes))).toEqual(summary);
  const reader = await openCheckpoint(bytesSource(bytes));
  expect(await reader.readBatch(0)).toEqual(batch);
  expect(reader.find(7)).toBe(0);
  expect(reader.header.machine.regions[0]?.gpa).toBe(0n);
  expect(await reader.readExtensions()).toHaveLength(1);
  expect((await reader.verify({ data: true })).findings).toEqual([]);
});
