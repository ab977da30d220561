import { compare } from '@fitdoc/engine';
import { PAGE_SIZE } from '@fitdoc/interface';
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
      .description('count what differs between two checkpoints, by region')
      .option('--machine <id>', 'the machine that names like latest mean'),
  ).action(
    action<[string, string], DiffOptions>(async (session, options, from, to) => {
      const repository = await session.repository(options);
      const where = options.machine === undefined ? {} : { machine: options.machine };
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
      });
      terminal.line(`${shortId(left.id)} -> ${shortId(right.id)}`);
      terminal.line(
        `${count(difference.pages)} pages differ (${bytes(difference.pages * PAGE_SIZE)}), ${count(difference.words)} words (${bytes(difference.words * 8)})`,
      );
      for (const region of difference.regions) {
        if (region.pages === 0) continue;
        terminal.line(`  ${region.region}: ${count(region.pages)} pages, ${count(region.words)} words`);
      }
      terminal.line(memoryMap(difference.map));
    }),
  );
}
