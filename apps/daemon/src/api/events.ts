import type { ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Supervisor } from '../supervisor/supervisor.js';
import type { DaemonEvent } from '../model.js';

/** Bytes that may wait for a reader before it is dropped. */
const MOST_WAITING = 1 << 20;
const HEARTBEAT_MS = 15_000;

/** Sends everything that happens to readers of server-sent events; one that does not keep up is dropped. */
export class EventStreams {
  readonly #supervisor: Supervisor;
  readonly #logger: Logger;
  readonly #readers = new Set<ServerResponse>();

  constructor(supervisor: Supervisor, logger: Logger) {
    this.#supervisor = supervisor;
    this.#logger = logger;
  }

  /** Begins with the state of every machine, every standby and every open job, so that a reader needs no other call. */
  serve(response: ServerResponse): void {
    const { events, jobs, standbys } = this.#supervisor;
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    // Without a machine there may be nothing to send for long: the reader must know that it is connected.
    response.flushHeaders();
    const write = (text: string): void => {
      if (response.destroyed) return;
      if (response.writableLength <= MOST_WAITING) {
        response.write(text);
        return;
      }
      this.#logger.warn('a reader of events did not keep up and was dropped');
      response.destroy();
    };
    const send = (event: DaemonEvent): void =>
      write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS);
    this.#readers.add(response);
    events.on('event', send);
    response.once('close', () => {
      clearInterval(heartbeat);
      events.off('event', send);
      this.#readers.delete(response);
    });
    for (const machine of this.#supervisor.machines()) send({ type: 'machine', machine });
    for (const standby of standbys.list()) send({ type: 'standby', standby });
    for (const job of jobs.list()) if (job.endedAt === undefined) send({ type: 'job', job });
  }

  close(): void {
    for (const response of this.#readers) response.end();
  }
}
