import { setTimeout as sleep } from 'node:timers/promises';
import {
  isFitdocError,
  linkSignals,
  throwIfAborted,
  type CallOptions,
  type FitdocError,
} from '@fitdoc/interface';
import type { Engine } from '../engine.js';
import { holdDirectory, isWanted, whenWanted } from './holder.js';
import type { StandbyPoint } from './journal.js';
import { Standby, type StandbyRequest, type StandbyStep } from './standby.js';

export interface FollowOptions extends CallOptions {
  /** Milliseconds between two looks at the repository. */
  readonly everyMs: number;
  /** End as soon as the newest state is ready. Default false. */
  readonly once?: boolean;
  /** Ends it: what is half written is gone on with the next time. */
  readonly stop?: AbortSignal;
}

/**
 * What a standby tells: that it was brought forward, that it holds the newest state already (at first, and after trouble), or
 * why it could not be brought forward, each reason once in a row.
 */
export type StandbyEvent =
  | { readonly type: 'ready'; readonly step: StandbyStep }
  | { readonly type: 'current'; readonly point: StandbyPoint }
  | { readonly type: 'trouble'; readonly error: FitdocError };

/**
 * Keeps the newest state of a machine ready in a directory until it is told to end, or somebody starts the machine from
 * it, in this process or in another. What goes wrong is tried again: only what was asked for wrongly ends it. Errors:
 * ABORTED, MACHINE_BUSY (another process works in the directory), those of Standby.open; with `once`, those of reading.
 */
export async function* followMachine(
  engine: Engine,
  request: StandbyRequest,
  options: FollowOptions,
): AsyncGenerator<StandbyEvent> {
  const { directory } = request;
  const wanted = new AbortController();
  const linked = linkSignals(options.signal, options.stop, wanted.signal);
  const call = { signal: linked.signal, ...(options.onProgress && { onProgress: options.onProgress }) };
  let release: (() => Promise<void>) | undefined;
  let standby: Standby | undefined;
  let unwatch: (() => void) | undefined;
  try {
    release = await holdDirectory(directory, 'follow', call);
    unwatch = whenWanted(directory, () => wanted.abort());
    standby = await Standby.open(engine, request);
    yield* following(standby, options, call);
  } catch (error) {
    const ended = (options.stop?.aborted ?? false) || wanted.signal.aborted;
    if (!isFitdocError(error, 'ABORTED') || options.signal?.aborted || !ended) throw error;
  } finally {
    unwatch?.();
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
  let told: string | undefined = 'nothing';
  for (;;) {
    const outcome = await standby.advance(call).catch((error: unknown) => {
      if (once || !isFitdocError(error) || error.code === 'ABORTED') throw error;
      return error;
    });
    if (isFitdocError(outcome)) {
      if (outcome.code !== told) yield { type: 'trouble', error: outcome };
      told = outcome.code;
    } else {
      if (outcome) yield { type: 'ready', step: outcome };
      else if (told !== undefined && standby.ready) yield { type: 'current', point: standby.ready };
      told = undefined;
    }
    if (once) return;
    await sleep(everyMs, undefined, { signal: call.signal }).catch(() => undefined);
    throwIfAborted(call.signal);
  }
}
