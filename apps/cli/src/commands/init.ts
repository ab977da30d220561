import { Repository } from '@fitdoc/repository';
import type { Command } from 'commander';
import { action, storeLocation, storeOptions, type StoreOptions } from '../session.js';

export function initCommand(program: Command): void {
  storeOptions(program.command('init').description('make a repository for checkpoints')).action(
    action<[], StoreOptions>(async (session, options) => {
      const location = storeLocation(options);
      const repository = await Repository.init(await session.storeAt(location, true));
      session.terminal.line(`made repository ${repository.config.id} at ${location}`);
      session.terminal.data({ message_type: 'summary', repository: repository.config.id, location });
    }),
  );
}
