import { hypervisorFor } from '@fitdoc/adapters';
import { fork, MemoryFiles, type Fork } from '@fitdoc/engine';
import type { Command } from 'commander';
import { memoryCache, placeFor } from '../launch/place.js';
import { byteSize, wholeNumber } from '../machine.js';
import { milliseconds, shortId } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface ForkOptions extends StoreOptions {
  readonly machine?: string;
  readonly count: string;
  readonly name?: string;
  readonly dir?: string;
  readonly cache?: string;
  readonly cacheSize?: string;
}

const WHAT_GUESTS_KEEP =
  'Each guest still has the host name, network addresses, clock, keys and random seeds of the checkpoint. Change them, then join its network: set_link over its QMP socket.';

export function forkCommand(program: Command): void {
  storeOptions(
    program
      .command('fork <checkpoint> [command...]')
      .description(
        'start several machines from one checkpoint, which share the memory that they do not write; behind -- options ' +
          'for each, or its whole command, with {n} for its number',
      )
      .requiredOption('--count <n>', 'how many')
      .option('--machine <id>', 'the machine that names like latest mean')
      .option('--name <name>', "what their names begin with (default: the machine's)")
      .option('--dir <folder>', 'where their sockets, logs and overlays are (default: a new one)')
      .option('--cache <folder>', 'where files of memory are kept for the next forks')
      .option('--cache-size <size>', 'what they may take there: 64G (default)'),
  ).action(
    action<[string, string[]], ForkOptions>(async (session, options, name, changed) => {
      const { terminal, signal } = session;
      const count = wholeNumber('--count', options.count);
      const limitBytes = byteSize('--cache-size', options.cacheSize ?? '64G');
      const repository = await session.repository(options);
      const entry = await repository.resolve(name, session.where(options.machine));
      const { hypervisor } = await hypervisorFor(`${entry.scheme}:`);
      const place = await placeFor(options.dir, `${entry.machineName}-forks`);
      const directory = options.cache ?? memoryCache();
      const request = {
        ...{ repository, entry, hypervisor, count, changed, directory: place.path },
        memory: new MemoryFiles({ directory, limitBytes }),
        ...(options.name !== undefined && { name: options.name }),
      };
      const made = await fork(session.engine, request, { signal, onProgress: terminal.progress }).catch(
        async (error: unknown) => {
          await place.remove();
          throw error;
        },
      );
      for (const each of made.forks) {
        await each.launched.release();
        terminal.data({ message_type: 'fork', ...forkMessage(each, entry.scheme) });
        terminal.line(
          `${each.name}  ${entry.scheme}:${each.launched.location}  process ${each.launched.pid}  ${each.uuid}  ran after ${milliseconds(each.runningMs)}`,
        );
      }
      const notes = [...made.notes, WHAT_GUESTS_KEEP];
      terminal.data({
        ...{ message_type: 'summary', id: entry.id, forks: made.forks.length, notes },
        ...{ memory_file: made.memoryFile, memory_file_made: made.made, directory: place.path },
      });
      terminal.line(
        `${made.forks.length} forks of checkpoint ${shortId(entry.id)} run; they are in ${place.path}`,
      );
      if (!terminal.json) for (const note of notes) terminal.note(note);
    }),
  );
}

function forkMessage({ number, name, uuid, launched, cards, runningMs }: Fork, scheme: string) {
  return {
    ...{ number, name, uuid, location: `${scheme}:${launched.location}`, pid: launched.pid },
    ...{ cards_down: cards, running_ms: Math.round(runningMs), consoles: launched.consoles },
  };
}
