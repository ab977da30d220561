import { repairRepository, type RepairReport } from '@fitdoc/repository';
import type { Command } from 'commander';
import { action, storeOptions, type StoreOptions } from '../session.js';
import { placeOf } from './init.js';

interface RepairCliOptions extends StoreOptions {
  readonly id?: string;
}

export function repairCommand(program: Command): void {
  storeOptions(
    program
      .command('repair [store]')
      .description(
        'rebuild a damaged or missing config object from the checkpoints, so that the repository opens again; ' +
          'damaged checkpoints: fitdoc copy --heal',
      )
      .option('--id <uuid>', 'the id that the repository had, where somebody knows it (a fitdocd does)'),
  ).action(
    action<[string | undefined], RepairCliOptions>(async (session, options, place) => {
      const location = placeOf('repair', place, options);
      const store = await session.storeAt(location, false);
      const report = await repairRepository(store, {
        signal: session.signal,
        ...(options.id !== undefined && { id: options.id }),
      });
      const { found, config, idFrom } = report;
      session.terminal.line(repaired(report));
      if (idFrom === 'new')
        session.terminal.note(
          `Its id is a new one. Where its own is known, to a fitdocd for instance, write it as id = "${config.id}" there.`,
        );
      session.terminal.data({
        message_type: 'summary',
        found,
        repository: config.id,
        id_from: idFrom,
        version: config.version,
        created: new Date(config.createdAtMs).toISOString(),
      });
    }),
  );
}

/** What became of a config object, for people. */
export function repaired({ found, config }: RepairReport): string {
  if (found === 'whole') return `the config object of repository ${config.id} is whole`;
  return `the config object was ${found}; rebuilt for repository ${config.id}`;
}
