import { setTimeout as sleep } from 'node:timers/promises';
import {
  abortError,
  FitdocError,
  isFitdocError,
  type RestoreOptions,
  type RestoreReport,
  type RestoreSource,
} from '@fitdoc/interface';
import { CONFIGURATION_STATE, DEVICES_STATE } from '../machine/state-names.js';
import type { Connected, QmpClient } from '../qmp/client.js';
import { withCapabilities } from '../restore/capabilities.js';
import type { RestoreConfig } from '../restore/options.js';
import { connectIncoming, startIncoming } from '../restore/socket.js';
import { part } from '../stream/write.js';
import { Conversation, isPong } from './conversation.js';
import { opening, PING_LOADED, type Block } from './messages.js';
import { POSTCOPY, type Probed } from './probe.js';
import { recoverAndServe } from './recover.js';
import { reportOf, serverFor, serveToTheEnd } from './serve.js';
import { endServed, keepServed } from './served-record.js';
import { guestState, whenCompleted, whenRunning } from './states.js';

type Loaded = Omit<RestoreReport, 'notes'>;

/**
 * Loads what the devices need and lets the guest run; then sends its memory as it asks for it, and all the rest.
 * Until the guest runs a failure leaves nothing. After that it is told by `details.running`, and the guest goes on
 * until it needs a page that is not there: another call of `resume` sends it the rest.
 */
export async function loadLazily(
  { client: qmp, version }: Connected,
  source: RestoreSource,
  { blocks, settings }: Exclude<Probed, { readonly reason: string }>,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<Loaded> {
  const signal = options.signal ?? new AbortController().signal;
  const first = opening(part(source, CONFIGURATION_STATE), part(source, DEVICES_STATE), blocks);
  const load = async (): Promise<Loaded> => {
    // QEMU is asked before it listens: from then on its main loop may wait for us. It is written before the guest runs.
    const keeping = keepServed(qmp, source, settings);
    keeping.catch(() => undefined);
    const socket = await connectIncoming(qmp, startIncoming(version), config.socketDirectory, signal);
    const conversation = new Conversation(socket);
    const start = performance.now();
    const served = serverFor(conversation, source, blocks, signal, options);
    try {
      const record = await keeping;
      const { state, runningMs } = await begin(qmp, conversation, first, start, signal);
      options.onRunning?.(state);
      const last = await serveAnyhow(qmp, conversation, served, { source, blocks, config, options, signal });
      await whenCompleted(qmp, signal);
      await endServed(record);
      const pages = last.transmission.sentPages;
      const lazy = reportOf(served.server, runningMs, performance.now() - start);
      return { state: await guestState(qmp, signal), pages, lazy };
    } finally {
      conversation.close();
    }
  };
  return withCapabilities(qmp, [POSTCOPY], settings.capabilities, load);
}

async function begin(
  qmp: QmpClient,
  conversation: Conversation,
  first: Uint8Array,
  start: number,
  signal: AbortSignal,
): Promise<{ state: 'running' | 'paused'; runningMs: number }> {
  const running = whenRunning(qmp);
  try {
    conversation.say(first);
    await loaded(conversation, signal);
    // All that it needs to run it has: from here on it counts as one that runs, whatever becomes of us.
    const { state, atMs } = await running.wait(conversation, signal).catch((error: unknown) => {
      throw runs(error, qmp, signal);
    });
    return { state, runningMs: atMs - start };
  } finally {
    running.forget();
  }
}

async function loaded(conversation: Conversation, signal: AbortSignal): Promise<void> {
  await conversation.hear(isPong(PING_LOADED), signal).catch((error: unknown) => {
    // Plain, so that QEMU is asked for its reason.
    if (conversation.ended.aborted && !signal.aborted)
      throw new Error('QEMU closed the stream', { cause: error });
    throw error;
  });
}

interface Serving {
  readonly source: RestoreSource;
  readonly blocks: readonly Block[];
  readonly config: RestoreConfig;
  readonly options: RestoreOptions;
  readonly signal: AbortSignal;
}

/** How often a connection that broke is made anew by itself. */
const RECOVERIES = 5;

/** Sends everything, over new connections where one breaks; gives what was sent over the last. */
async function serveAnyhow(
  qmp: QmpClient,
  conversation: Conversation,
  served: ReturnType<typeof serverFor>,
  serving: Serving,
): Promise<ReturnType<typeof serverFor>> {
  const { source, blocks, config, options, signal } = serving;
  try {
    await serveToTheEnd(conversation, served, options.first ?? [], signal);
    return served;
  } catch (error) {
    await recoverable(error, conversation, qmp, signal);
    // It ran before, and that was told.
    const { onRunning: _, ...rest } = options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await recoverAndServe(qmp, { source, blocks, config, options: rest, signal });
      } catch (failed) {
        const told = isFitdocError(failed) && failed.details['running'] === true;
        if (told || attempt >= RECOVERIES || qmp.closed.aborted || signal.aborted)
          throw runs(failed, qmp, signal);
        await sleep(200);
      }
    }
  }
}

/** Throws on, unless it is only the connection that ended. */
async function recoverable(
  error: unknown,
  conversation: Conversation,
  qmp: QmpClient,
  signal: AbortSignal,
): Promise<void> {
  // QEMU's end shows at its monitor a moment later.
  if (conversation.ended.aborted) await sleep(100);
  if (!conversation.ended.aborted || qmp.closed.aborted || signal.aborted) throw runs(error, qmp, signal);
}

/** The failure of a guest that runs already. */
export function runs(error: unknown, qmp: QmpClient, signal: AbortSignal): FitdocError {
  if (isFitdocError(error) && error.details['running'] === true) return error;
  if (qmp.closed.aborted)
    return new FitdocError('MACHINE_GONE', 'QEMU ended before all of its memory was there.', {
      cause: error,
      hint: 'Start it again with -incoming defer and restore again; its log says why it ended.',
      details: { running: true },
    });
  const cause = signal.aborted ? abortError(signal) : error;
  const what = cause instanceof Error ? cause.message : String(cause);
  return new FitdocError(
    signal.aborted ? 'ABORTED' : 'RESTORE_FAILED',
    `The guest runs, and has not all of its memory: ${what}`,
    {
      cause,
      hint: 'It goes on until it needs what is missing, and waits there. Send the rest: restore --resume. Do not stop or quit this QEMU before: it would hang.',
      details: { running: true },
    },
  );
}
