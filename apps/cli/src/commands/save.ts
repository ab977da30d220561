import type { Command } from 'commander';
import {
  attach,
  captureOptions,
  pauseBudget,
  protectOptions,
  tellUnkept,
  type CaptureOptions,
} from '../machine.js';
import { saveThroughDaemon } from '../daemon/save.js';
import { checkpointHeading, checkpointLine, checkpointMessage } from '../output/checkpoint-line.js';
import { pauseHook } from '../pause-hook.js';
import { quiesceOf } from '../quiesce.js';
import { action, storeOptions } from '../session.js';

interface SaveOptions extends CaptureOptions {
  readonly tag?: string;
  readonly daemon?: string | boolean;
}

export function saveCommand(program: Command): void {
  captureOptions(
    storeOptions(
      program
        .command('save <machine>')
        .description('take one checkpoint of a running machine (kvm:SOCKET, xen:DOMAIN, mock:NAME)')
        .option('--tag <name>', 'give the checkpoint a name')
        .option(
          '--standing',
          'also of a guest that stands (paused, panicked, stopped by its disk, powered off but kept): its last checkpoint, which costs no pause; it is left standing',
        )
        .option(
          '--daemon [socket]',
          'have the daemon take it, of the machine with that name in its configuration',
        ),
    ),
  ).action(
    action<[string], SaveOptions>(async (session, options, location) => {
      if (options.daemon !== undefined) return saveThroughDaemon(session, location, options);
      const budget = pauseBudget(options);
      pauseHook(options, location);
      quiesceOf(options);
      const repository = await session.repositoryToStore(options);
      const machine = await attach(session, location, options);
      tellUnkept(session, machine, options);
      const protection = await session.engine.protect(
        machine,
        repository,
        protectOptions(session, options, { location, program: 'fitdoc save' }),
      );
      const result = await protection.checkpoint({
        signal: session.signal,
        onProgress: session.terminal.progress,
        ...budget,
      });
      if (options.tag !== undefined) await repository.tags.set(options.tag, result.entry);
      session.terminal.line(checkpointHeading());
      session.terminal.line(checkpointLine(result));
      session.terminal.data(checkpointMessage(result));
      for (const note of result.notes) session.terminal.note(note);
    }),
  );
}
