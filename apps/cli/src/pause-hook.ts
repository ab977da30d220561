import type { PauseHook } from '@fitdoc/engine';
import { FitdocError } from '@fitdoc/interface';
import type { Command } from 'commander';
import { interval } from './interval.js';

/** Options of a command that runs in the pause of each checkpoint. */
export interface PauseHookOptions {
  readonly pauseHook?: string;
  readonly pauseHookTimeout?: string;
  readonly pauseHookFailure?: string;
}

export function pauseHookOptions(command: Command): Command {
  return command
    .option(
      '--pause-hook <command>',
      'run by sh while the guest stands, to snapshot disks that you keep consistent yourself; what it prints is kept with the checkpoint',
    )
    .option('--pause-hook-timeout <time>', 'when the guest goes on at the latest (1s)')
    .option(
      '--pause-hook-failure <what>',
      'when it fails or takes longer: fail the checkpoint (default), or note it',
    );
}

/** The hook that the options ask for, read before anything is touched. ARGUMENT_INVALID. */
export function pauseHook(
  { pauseHook: text, pauseHookTimeout = '1s', pauseHookFailure = 'fail' }: PauseHookOptions,
  location: string,
): { readonly pauseHook?: PauseHook } {
  if (text === undefined) return {};
  if (pauseHookFailure !== 'fail' && pauseHookFailure !== 'note')
    throw new FitdocError('ARGUMENT_INVALID', `--pause-hook-failure ${pauseHookFailure} is not known.`, {
      hint: 'Use fail or note.',
    });
  const timeoutMs = interval('--pause-hook-timeout', pauseHookTimeout);
  const env = { FITDOC_LOCATION: location, FITDOC_MACHINE: location.replace(/^[^:]*:/, '') };
  return { pauseHook: { command: ['/bin/sh', '-c', text], timeoutMs, onFailure: pauseHookFailure, env } };
}
