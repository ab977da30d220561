import {
  abortError,
  FitdocError,
  linkSignals,
  totalPages,
  withLinkedSignal,
  type LazyReport,
  type PageRun,
  type RestoreOptions,
  type RestoreSource,
} from '@fitdoc/interface';
import type { Conversation } from './conversation.js';
import { isShut } from './conversation.js';
import type { Block } from './messages.js';
import type { Unreadable } from './patient-reader.js';
import { PageServer } from './server.js';
import { Transmission } from './transmission.js';

/** A server for a conversation, which answers from now on. */
export function serverFor(
  conversation: Conversation,
  source: RestoreSource,
  blocks: readonly Block[],
  signal: AbortSignal,
  { onProgress, onTrouble }: Pick<RestoreOptions, 'onProgress' | 'onTrouble'>,
): { readonly server: PageServer; readonly transmission: Transmission } {
  const pages = source.random!;
  const transmission = new Transmission(blocks, pages.stored);
  const total = totalPages(source.info.regions);
  const owed = transmission.left;
  const server = new PageServer(conversation.socket, {
    pages,
    transmission,
    total,
    // Nobody waits any longer for what is read for a connection that has ended.
    signal: linkSignals(signal, conversation.ended).signal,
    onTrouble,
    onProgress: (left) =>
      onProgress?.({ phase: 'sending pages', done: Math.max(0, owed - left), total: owed, unit: 'pages' }),
  });
  const first = new Map(blocks.map(({ name, firstGfn }) => [name, firstGfn]));
  conversation.answerWith((request) => {
    server.request(request, (block) => {
      const gfn = first.get(block);
      if (gfn !== undefined) return gfn;
      throw new FitdocError('PROTOCOL_ERROR', `QEMU asked for a page of a RAM block ${block}.`);
    });
  });
  return { server, transmission };
}

/** Sends all that the guest has not got, and ends the postcopy. Gives when all was there. */
export async function serveToTheEnd(
  conversation: Conversation,
  { server, transmission }: { readonly server: PageServer; readonly transmission: Transmission },
  first: readonly PageRun[],
  signal: AbortSignal,
): Promise<void> {
  // An abort, too: a QEMU that reads nothing holds up everything else.
  await withLinkedSignal([conversation.ended, signal], async (over) => {
    const ended = new Promise<never>((_, reject) => {
      const end = (): void => reject(abortError(over));
      if (over.aborted) end();
      over.addEventListener('abort', end, { once: true });
    });
    ended.catch(() => undefined);
    await Promise.race([ended, server.serve(first)]);
  });
  if (server.unreadable.length > 0) throw unreadable(server.unreadable);
  conversation.say(transmission.end());
  const { status } = await conversation.hear(isShut, signal);
  if (status === 0) return;
  throw new FitdocError('RESTORE_FAILED', 'QEMU got all of its memory and says that it failed.', {
    hint: "QEMU's own messages (its standard error or log) say why.",
  });
}

export function reportOf(server: PageServer, runningMs: number | undefined, sentMs: number): LazyReport {
  const { latencies, asked } = server;
  return {
    ...(runningMs !== undefined && { runningMs }),
    sentMs,
    faults: latencies.count,
    faultP50Ms: latencies.percentile(0.5),
    faultP99Ms: latencies.percentile(0.99),
    asked,
  };
}

function unreadable(parts: readonly Unreadable[]): FitdocError {
  const pages = parts.reduce((sum, { run }) => sum + run.count, 0);
  const [{ error }] = parts as readonly [Unreadable];
  return new FitdocError(
    'RESTORE_FAILED',
    `The guest runs, but ${pages} of its pages cannot be read: ${error.message}`,
    {
      cause: error,
      hint: 'It goes on until it needs one of them, and waits there. Serve them from a good copy of the checkpoint: fitdoc restore CHECKPOINT --resume --also STORE --to the same place.',
      details: { pages, runs: parts.map(({ run }) => run), running: true },
    },
  );
}
