import { setTimeout as sleep } from 'node:timers/promises';
import {
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type RestoreOptions,
  type RestoreSource,
} from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import type { RestoreConfig } from '../restore/options.js';
import { connectIncoming } from '../restore/socket.js';
import { Conversation, isReceived, isResumed } from './conversation.js';
import { askReceived, resumption, type Block } from './messages.js';
import { serverFor, serveToTheEnd } from './serve.js';

export interface Recovery {
  readonly source: RestoreSource;
  readonly blocks: readonly Block[];
  readonly config: RestoreConfig;
  readonly options: RestoreOptions;
  readonly signal: AbortSignal;
}

/**
 * Goes on with a postcopy whose connection broke, whoever had it: asks QEMU which pages it has, and sends all
 * others. Errors: MACHINE_BUSY (the postcopy is not broken, or there is none).
 */
export async function recoverAndServe(
  qmp: QmpClient,
  { source, blocks, config, options, signal }: Recovery,
): Promise<ReturnType<typeof serverFor>> {
  const socket = await connectIncoming(qmp, recover, config.socketDirectory, signal);
  const conversation = new Conversation(socket);
  try {
    const served = serverFor(conversation, source, blocks, signal, options);
    for (const block of blocks) {
      conversation.say(askReceived(block));
      const { bitmap } = await conversation.hear(isReceived(block.name), signal);
      served.transmission.received(block.name, bitmap);
    }
    conversation.say(resumption());
    await conversation.hear(isResumed, signal);
    options.onRunning?.('running');
    await serveToTheEnd(conversation, served, options.first ?? [], signal);
    return served;
  } finally {
    conversation.close();
  }
}

/** How long QEMU gets to notice that its connection has broken, milliseconds. */
const NOTICE_MS = 3000;

/** Out of band: QEMU's main loop, or its monitor, may wait for a page that only we can send. */
async function recover(qmp: QmpClient, uri: string, signal: AbortSignal | undefined): Promise<void> {
  const give = performance.now() + NOTICE_MS;
  for (;;) {
    try {
      await qmp.execute('migrate-recover', { uri }, { signal, outOfBand: true });
      return;
    } catch (error) {
      if (!isFitdocError(error, 'PROTOCOL_ERROR') || error.details['description'] === undefined) throw error;
      if (performance.now() > give) throw notPaused(error, await statusOf(qmp));
      throwIfAborted(signal);
      await sleep(50);
    }
  }
}

/** QEMU's word for where its migration is; a monitor that waits for a page itself tells none. */
async function statusOf(qmp: QmpClient): Promise<string> {
  const asked = qmp.execute<{ status?: string }>('query-migrate', {}, { timeoutMs: 1000 });
  return (await asked.catch(() => undefined))?.status ?? 'unknown';
}

function notPaused(cause: FitdocError, status: string): FitdocError {
  const all = status === 'completed' || status === 'none';
  return new FitdocError(
    'MACHINE_BUSY',
    all
      ? 'This guest waits for no memory: it has all of it.'
      : `This QEMU does not take the rest of its memory (its migration is "${status}").`,
    {
      cause,
      hint: all
        ? 'Nothing is left to do.'
        : 'Is the restore that serves it still alive? Let it go on, or end it first.',
      details: { ...cause.details, status },
    },
  );
}
