import type { DaemonEvent } from '../../../src/model.js';
import { open, RequestError } from './request.js';

/** The daemon sends a heartbeat every 15 seconds: a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;

/**
 * Reads the daemon's events until the stream ends; that always throws. Read by fetch, not by EventSource: that
 * hides heartbeats, and so would wait for ever on a connection that a sleeping laptop or a proxy lost.
 */
export async function readEvents(
  onOpen: () => void,
  onEvent: (event: DaemonEvent) => void,
  signal: AbortSignal,
): Promise<never> {
  const silence = new AbortController();
  const response = await open('GET', 'v1/events', { signal: AbortSignal.any([signal, silence.signal]) });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) throw ended();
  onOpen();
  let rest = '';
  for (;;) {
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    const { done, value } = await reader
      .read()
      .catch((error: unknown) => {
        throw signal.aborted ? error : ended();
      })
      .finally(() => clearTimeout(timer));
    if (done) throw ended();
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) deliver(block, onEvent);
  }
}

function deliver(block: string, onEvent: (event: DaemonEvent) => void): void {
  const data = block
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5))
    .join('\n');
  if (data !== '') onEvent(JSON.parse(data) as DaemonEvent);
}

function ended(): RequestError {
  return new RequestError('UNREACHABLE', 'The connection to the daemon was lost.');
}
