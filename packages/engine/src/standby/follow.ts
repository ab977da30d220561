import { setTimeout as sleep } from 'node:timers/promises';
import {
  isFitdocError,
  linkSignals,
  throwIfAborted,
  type CallOptions,
  type FitdocError,
} from '@fitdoc/interface';
import type { Engine } from '../engine.js';
import { holdDirectory, isWanted } from './holder.js';
import { Standby, type StandbyRequest, type StandbyStep } from './standby.js';

export interface FollowOptions extends CallOptions {
  /** Milliseconds between two looks at the repository. */
  readonly everyMs: number;
  /** End as soon as the newest state is ready. Default false. */
  readonly once?: boolean;
  /** Ends it: what is half written is gone on with the next time. */
  readonly stop?: AbortSignal;
}

/** What a standby tells: that it was brought forward, or why it could not be, each reason once in a row. */
export type StandbyEvent =
  | { readonly type: 'ready'; readonly step: StandbyStep }
  | { readonly type: 'trouble'; readonly error: FitdocError };

/**
 * Keeps the newest state of a machine ready in a directory until it is told to end. What goes wrong is tried again: only
 * what was asked for wrongly ends it. Errors: ABORTED, MACHINE_BUSY (another process works in the directory), those of
 * Standby.open; with `once`, those of reading.
 */
export async function* followMachine(
  engine: Engine,
  request: StandbyRequest,
  options: FollowOptions,
): AsyncGenerator<StandbyEvent> {
  const { directory } = request;
  const linked = linkSignals(options.signal, options.stop);
  const call = { signal: linked.signal, ...(options.onProgress && { onProgress: options.onProgress }) };
  let release: (() => Promise<void>) | undefined;
  let standby: Standby | undefined;
  try {
    release = await holdDirectory(directory, 'follow', call);
    standby = await Standby.open(engine, request);
    yield* following(standby, options, call);
  } catch (error) {
    if (!isFitdocError(error, 'ABORTED') || options.signal?.aborted || !options.stop?.aborted) throw error;
  } finally {
    linked.unlink();
    // Who starts the machine from it must not wait for the disk.
    try {
      await standby?.close({ settle: !(await isWanted(directory)) });
    } finally {
      await release?.();
    }
  }
}

async function* following(
  standby: Standby,
  { everyMs, once = false }: FollowOptions,
  call: CallOptions & { readonly signal: AbortSignal },
): AsyncGenerator<StandbyEvent> {
  let told = '';
  for (;;) {
    const outcome = await standby.advance(call).catch((error: unknown) => {
      if (once || !isFitdocError(error) || error.code === 'ABORTED') throw error;
      return error;
    });
    if (isFitdocError(outcome)) {
      if (outcome.code !== told) yield { type: 'trouble', error: outcome };
      told = outcome.code;
    } else if (outcome) {
      told = '';
      yield { type: 'ready', step: outcome };
    }
    if (once) return;
    await sleep(everyMs, undefined, { signal: call.signal }).catch(() => undefined);
    throwIfAborted(call.signal);
  }
}
