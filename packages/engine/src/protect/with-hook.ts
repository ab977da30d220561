import { FitdocError, type CallOptions } from '@fitdoc/interface';
import { ReadyHook, type PauseHookOutcome } from './pause-hook.js';
import type { ProtectionState } from './protection-state.js';

/** Takes a checkpoint with the pause hook made ready before, and ended after it. */
export async function withHook<Result>(
  { pauseHook, machine, nextSequence }: ProtectionState,
  { signal }: CallOptions,
  take: (hook: ReadyHook | undefined) => Promise<Result>,
): Promise<Result> {
  if (pauseHook === undefined) return take(undefined);
  const env = { FITDOC_MACHINE_ID: machine.info.id, FITDOC_SEQUENCE: `${nextSequence}` };
  const hook = await ReadyHook.start(pauseHook, env, signal);
  try {
    return await take(hook);
  } finally {
    await hook.end();
  }
}

/** What became of a hook. Errors: CAPTURE_FAILED where its failure is that of the checkpoint. */
export async function hookOutcome(
  hook: ReadyHook,
  { pauseHook }: ProtectionState,
): Promise<PauseHookOutcome> {
  const outcome = await hook.outcome();
  if (outcome.failure === undefined || pauseHook?.onFailure === 'note') return outcome;
  throw new FitdocError('CAPTURE_FAILED', `The pause hook ${outcome.failure}.`, {
    hint: 'There is no checkpoint. The guest runs on, and the next one has all of it.',
    retryable: true,
    details: { pauseHook: true, output: outcome.output },
  });
}

export function hookNotes(outcome: PauseHookOutcome | undefined): string[] {
  return outcome?.failure === undefined ? [] : [`the pause hook ${outcome.failure}`];
}

/** As a checkpoint's metrics keep it. */
export function hookMetrics(outcome: PauseHookOutcome | undefined): Record<string, number | string> {
  if (outcome === undefined) return {};
  const { ms, output, failure } = outcome;
  return {
    pauseHookMs: Math.round(ms * 1000) / 1000,
    pauseHook: output,
    ...(failure !== undefined && { pauseHookFailure: failure }),
  };
}
