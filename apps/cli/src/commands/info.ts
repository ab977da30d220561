import { DirtyBitmap } from '@fitdoc/bitmap';
import type { CheckpointReader } from '@fitdoc/format';
import { PAGE_SIZE, totalPages } from '@fitdoc/interface';
import type { CheckpointEntry, Repository } from '@fitdoc/repository';
import * as asciichart from 'asciichart';
import type { Command } from 'commander';
import { memoryMap } from '../output/memory-map.js';
import { bytes, count, milliseconds, percent, time } from '../output/units.js';
import { action, storeOptions, type Session, type StoreOptions } from '../session.js';
import { listed } from './list.js';

interface InfoOptions extends StoreOptions {
  readonly machine?: string;
}

/** Checkpoints of a chain that the plot shows. */
const PLOTTED = 60;

export function infoCommand(program: Command): void {
  storeOptions(
    program
      .command('info <checkpoint>')
      .description('show a checkpoint: what it holds, where its bytes went, its chain, a map of its pages')
      .option('--machine <id>', 'the machine that names like latest mean'),
  ).action(
    action<[string], InfoOptions>(async (session, options, name) => {
      const repository = await session.repository(options);
      const where = options.machine === undefined ? {} : { machine: options.machine };
      const entry = await repository.resolve(name, where);
      const [reader, chain] = [await repository.openCheckpoint(entry), await repository.chain(entry)];
      const { machine } = reader.header;
      session.terminal.data({
        ...listed(entry),
        content_hash: entry.contentHash,
        hypervisor: machine.hypervisor,
        platform: machine.platform,
        regions: machine.regions,
        disks: machine.disks,
        bytes_by_part: partsOf(entry, reader),
        word_pages: entry.wordPages,
        whole_pages: entry.wholePages,
        zero_pages: entry.zeroPages,
        device_state_bytes: entry.deviceStateBytes,
        metrics: entry.metrics,
        chain: chain.map(({ id }) => id),
      });
      if (!session.terminal.json) await show(session, repository, entry, reader, chain);
    }),
  );
}

/** Stored bytes: page data, and all the rest (device state, index, headers). */
function partsOf(entry: CheckpointEntry, reader: CheckpointReader): { pages: number; other: number } {
  const pages = reader.batches.reduce((sum, batch) => sum + batch.length, 0);
  return { pages, other: entry.bytes - pages };
}

async function show(
  session: Session,
  repository: Repository,
  entry: CheckpointEntry,
  reader: CheckpointReader,
  chain: readonly CheckpointEntry[],
): Promise<void> {
  const line = (label: string, text: string): void => session.terminal.line(`${label.padEnd(14)} ${text}`);
  const { machine } = reader.header;
  const memory = totalPages(machine.regions) * PAGE_SIZE;
  const parts = partsOf(entry, reader);
  line('checkpoint', entry.id);
  line('machine', `${machine.name} (${entry.machineId}), ${machine.hypervisor}, ${bytes(memory)} of memory`);
  line('captured', time(entry.capturedAtMs));
  line('kind', entry.parentId ? `increment to ${entry.parentId}` : 'base');
  const pause = entry.metrics['pauseMs'];
  if (typeof pause === 'number') line('pause', milliseconds(pause));
  line(
    'pages',
    `${count(entry.pages)}: ${count(entry.wordPages)} as words, ${count(entry.wholePages)} whole, ${count(entry.zeroPages)} zero`,
  );
  line('words', `${count(entry.changedWords)} in pages stored as words`);
  line(
    'stored',
    `${bytes(entry.bytes)}: ${bytes(parts.pages)} pages, ${bytes(parts.other)} device state, index and headers`,
  );
  line(
    '',
    `${percent(entry.bytes, entry.rawBytes)} of its pages whole, ${percent(entry.bytes, memory)} of the memory`,
  );
  for (const region of machine.regions)
    line('region', `${region.name}: ${count(region.pages)} pages from ${region.firstGfn}, ${region.kind}`);
  for (const disk of machine.disks)
    line(
      'disk',
      `${disk.name}: ${disk.source ?? 'unknown'}${disk.writable ? ', writable, not in the checkpoint' : ''}`,
    );
  line('chain', `${chain.length} checkpoints, ${bytes(chain.reduce((sum, each) => sum + each.bytes, 0))}`);
  session.terminal.line(plot(chain));
  session.terminal.line(memoryMap(await pagesOf(reader)));
}

/** Stored bytes of the chain's increments, as a plot; a base would flatten the rest. */
function plot(chain: readonly CheckpointEntry[]): string {
  const sizes = chain
    .filter(({ kind }) => kind === 'increment')
    .slice(-PLOTTED)
    .map(({ bytes: size }) => size / 1024);
  if (sizes.length < 2) return '';
  return `\n  stored KiB, last ${sizes.length} increments\n${asciichart.plot(sizes, { height: 6 })}\n`;
}

async function pagesOf(reader: CheckpointReader): Promise<DirtyBitmap> {
  const map = new DirtyBitmap(totalPages(reader.header.machine.regions));
  for (let index = 0; index < reader.batches.length; index++) {
    const { gfns } = await reader.readBatch(index);
    for (const gfn of gfns) map.set(gfn);
  }
  return map;
}
