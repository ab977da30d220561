import type { Protection } from '@fitdoc/engine';
import type { PauseBudget } from '@fitdoc/interface';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.js';
import { interval } from '../interval.js';
import {
  attach,
  captureOptions,
  pauseBudget,
  tellUnkept,
  protectOptions,
  wholeNumber,
  type CaptureOptions,
} from '../machine.js';
import { checkpointHeading, checkpointLine, checkpointMessage } from '../output/checkpoint-line.js';
import { bytes, count } from '../output/units.js';
import { pauseHook } from '../pause-hook.js';
import { quiesceOf } from '../quiesce.js';
import { action, storeOptions, type Session } from '../session.js';

interface WatchOptions extends CaptureOptions {
  readonly every: string;
  readonly count?: string;
}

export function watchCommand(program: Command): void {
  captureOptions(
    storeOptions(
      program
        .command('watch <machine>')
        .description('take checkpoints of a running machine again and again, until Ctrl-C')
        .option('--every <time>', 'from the start of one to the start of the next: 500ms, 1s, 5m', '1s')
        .option('--count <n>', 'end after so many checkpoints'),
    ),
  ).action(
    action<[string], WatchOptions>(async (session, options, location) => {
      const everyMs = interval('--every', options.every);
      const limit = options.count === undefined ? {} : { count: wholeNumber('--count', options.count) };
      const budget = pauseBudget(options);
      pauseHook(options, location);
      quiesceOf(options);
      const repository = await session.repositoryToStore(options);
      const machine = await attach(session, location, options, everyMs);
      tellUnkept(session, machine, options);
      const failures = { count: 0 };
      const settings = protectOptions(session, options, { location, program: 'fitdoc watch' });
      const protection = await session.engine.protect(machine, repository, {
        ...settings,
        onEvent: (event) => {
          if (event.type === 'checkpoint-failed') failures.count++;
          settings?.onEvent?.(event);
        },
      });
      await watch(session, protection, { everyMs, ...limit, ...budget });
      return failures.count > 0 ? EXIT.partly : EXIT.done;
    }, true),
  );
}

async function watch(
  session: Session,
  protection: Protection,
  schedule: { readonly everyMs: number; readonly count?: number; readonly pauseBudget?: PauseBudget },
): Promise<void> {
  const { terminal, interrupts } = session;
  let taken = 0;
  let stored = 0;
  let longestPause = 0;
  terminal.line(checkpointHeading());
  const results = protection.run({
    ...schedule,
    stop: interrupts.stop,
    signal: interrupts.cancel,
    onProgress: terminal.progress,
  });
  for await (const result of results) {
    taken++;
    stored += result.entry.bytes;
    longestPause = Math.max(longestPause, result.cost.pauseMs);
    terminal.line(checkpointLine(result));
    terminal.data(checkpointMessage(result));
    for (const note of result.notes) terminal.note(note);
  }
  terminal.line(
    `${count(taken)} checkpoints, ${bytes(stored)} stored, longest pause ${longestPause.toFixed(1)} ms`,
  );
  terminal.data({
    message_type: 'summary',
    checkpoints: taken,
    stored_bytes: stored,
    longest_pause_ms: longestPause,
  });
}
