import { compare, type DiskDifference } from '@fitdoc/engine';
import { BLOCK_SIZE, PAGE_SIZE } from '@fitdoc/interface';
import type { Command } from 'commander';
import { memoryMap } from '../output/memory-map.js';
import { bytes, count, shortId } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface DiffOptions extends StoreOptions {
  readonly machine?: string;
}

export function diffCommand(program: Command): void {
  storeOptions(
    program
      .command('diff <from> <to>')
      .description('count what differs between two checkpoints, by region and disk')
      .option('--machine <id>', 'the machine that names like latest mean'),
  ).action(
    action<[string, string], DiffOptions>(async (session, options, from, to) => {
      const repository = await session.repository(options);
      const where = session.where(options.machine);
      const [left, right] = [await repository.resolve(from, where), await repository.resolve(to, where)];
      const difference = await compare(session.engine, repository, [left, right], {
        signal: session.signal,
        onProgress: session.terminal.progress,
      });
      const { terminal } = session;
      terminal.data({
        from: left.id,
        to: right.id,
        pages: difference.pages,
        words: difference.words,
        regions: difference.regions,
        disks: difference.disks.map(({ disk, blocks, words, sizes }) => ({
          disk,
          blocks: blocks ?? null,
          words: words ?? null,
          size_bytes: sizes.map((size) => size ?? null),
        })),
      });
      terminal.line(`${shortId(left.id)} -> ${shortId(right.id)}`);
      terminal.line(
        `${count(difference.pages)} pages differ (${bytes(difference.pages * PAGE_SIZE)}), ${count(difference.words)} words (${bytes(difference.words * 8)})`,
      );
      for (const region of difference.regions) {
        if (region.pages === 0) continue;
        terminal.line(`  ${region.region}: ${count(region.pages)} pages, ${count(region.words)} words`);
      }
      for (const disk of difference.disks) terminal.line(`  disk ${diskText(disk)}`);
      terminal.line(memoryMap(difference.map));
    }),
  );
}

function diskText({ disk, blocks, words = 0, sizes: [from, to] }: DiskDifference): string {
  if (blocks === undefined) return `${disk}: only in the ${from === undefined ? 'second' : 'first'}`;
  const size = from === to ? '' : `, ${bytes(from ?? 0)} became ${bytes(to ?? 0)}`;
  return `${disk}: ${count(blocks)} blocks (${bytes(blocks * BLOCK_SIZE)}), ${count(words)} words${size}`;
}
