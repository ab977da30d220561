import type { Command } from 'commander';
import { shortId } from '../output/units.js';
import { action, storeOptions, type StoreOptions } from '../session.js';

interface TagOptions extends StoreOptions {
  readonly machine?: string;
  readonly remove?: boolean;
}

export function tagCommand(program: Command): void {
  storeOptions(
    program
      .command('tag <name> [checkpoint]')
      .description('give a checkpoint a name that every command understands, or take one away')
      .option('--machine <id>', 'the machine that names like latest mean')
      .option('--remove', 'take the name away; the checkpoint stays'),
  ).action(
    action<[string, string | undefined], TagOptions>(async (session, options, name, checkpoint) => {
      const repository = await session.repository(options);
      if (options.remove) {
        await repository.tags.remove(name);
        session.terminal.line(`removed the name ${name}`);
        session.terminal.data({ message_type: 'summary', removed: name });
        return;
      }
      const where = session.where(options.machine);
      const entry = await repository.resolve(checkpoint ?? 'latest', where);
      await repository.tags.set(name, entry);
      session.terminal.line(`${name} is ${shortId(entry.id)}`);
      session.terminal.data({ message_type: 'summary', tag: name, id: entry.id });
    }),
  );
}
