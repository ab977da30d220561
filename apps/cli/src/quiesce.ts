import { FitdocError, type Quiesce } from '@fitdoc/interface';
import type { Command } from 'commander';
import { interval } from './interval.js';

/** Options that have the guest's file systems frozen for each checkpoint. */
export interface QuiesceOptions {
  readonly quiesce?: boolean;
  readonly quiesceTimeout?: string;
  readonly quiesceFailure?: string;
}

export function quiesceOptions(command: Command): Command {
  return command
    .option(
      '--quiesce',
      "freeze the guest's file systems through its QEMU guest agent, and thaw them afterwards, also in what is restored",
    )
    .option('--quiesce-timeout <time>', 'when they are thawed at the latest (10s)')
    .option(
      '--quiesce-failure <what>',
      'when they cannot be frozen: fail the checkpoint (default), or note it',
    );
}

/** What the options ask for, read before anything is touched. ARGUMENT_INVALID. */
export function quiesceOf({ quiesce, quiesceTimeout = '10s', quiesceFailure = 'fail' }: QuiesceOptions): {
  readonly quiesce?: Quiesce;
} {
  if (quiesce !== true) return {};
  if (quiesceFailure !== 'fail' && quiesceFailure !== 'note')
    throw new FitdocError('ARGUMENT_INVALID', `--quiesce-failure ${quiesceFailure} is not known.`, {
      hint: 'Use fail or note.',
    });
  const timeoutMs = interval('--quiesce-timeout', quiesceTimeout);
  return { quiesce: { timeoutMs, onFailure: quiesceFailure } };
}
