import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { totalPages } from '@fitdoc/interface';
import { readXenStream, xenStream, type XenStreamContent } from '../src/index.js';
import { PlainMemory, sourceOf } from './streams.js';

const folder = resolve(import.meta.dirname, '../../../../shared/captures');
const missing = !existsSync(folder) || spawnSync('zstd', ['--version']).error !== undefined;
if (missing) console.log(`skipped: recorded Xen streams (${folder} or the zstd tool is not there)`);

function unpacked(name: string): AsyncIterable<Uint8Array> {
  const tool = name.endsWith('.xz') ? 'xz' : 'zstd';
  return spawn(tool, ['-dc', resolve(folder, name)], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout;
}

async function load(
  chunks: AsyncIterable<Uint8Array>,
  onCheckpoint?: (content: XenStreamContent) => boolean,
) {
  let memory!: PlainMemory;
  const sink = (regions: XenStreamContent['regions']) => (memory = new PlainMemory(totalPages(regions)));
  const content = await readXenStream(chunks, onCheckpoint ? { sink, onCheckpoint } : { sink });
  return { content, memory };
}

const digest = (memory: PlainMemory) => createHash('sha256').update(memory.bytes).digest('hex');

describe.skipIf(missing)('streams recorded from a real Xen 4.17', () => {
  it('a save decodes, and the stream written of it decodes the same', async () => {
    const first = await load(unpacked('xen-4.17-pvh.save.zst'));
    expect(first.content.config).toMatchObject({ guestType: 'pvh', name: 'pvh1', maxMemoryKiB: 81920 });
    expect(first.memory.placed).toBe(20496);
    const second = await load(xenStream(sourceOf(first.content, first.memory)));
    expect(digest(second.memory)).toBe(digest(first.memory));
    expect(second.content.deviceState).toEqual(first.content.deviceState);
  });

  it('a Remus stream decodes checkpoint by checkpoint; each becomes a stream of its own', async () => {
    const pages: number[] = [];
    let before = 0;
    const first = await load(unpacked('xen-4.17-remus.stream.zst'), () => true);
    expect(first.content.checkpoints).toBe(6);
    const second = await load(xenStream(sourceOf(first.content, first.memory)));
    expect(digest(second.memory)).toBe(digest(first.memory));
    const memory = new PlainMemory(totalPages(first.content.regions));
    const count = () => {
      pages.push(memory.placed - before);
      before = memory.placed;
      return true;
    };
    await readXenStream(unpacked('xen-4.17-remus-tail.stream.xz'), {
      sink: () => memory,
      onCheckpoint: count,
    });
    expect(pages).toEqual([0, 415, 415, 420, 418, 419]);
  });
});
