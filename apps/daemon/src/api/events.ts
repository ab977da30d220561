import type { ServerResponse } from 'node:http';
import type { Supervisor } from '../supervisor/supervisor.js';
import type { DaemonEvent } from '../model.js';

/** Bytes that may wait for a reader before it is dropped. */
const MOST_WAITING = 1 << 20;
const HEARTBEAT_MS = 15_000;

/** Sends everything that happens to readers of server-sent events; one that does not keep up is dropped. */
export class EventStreams {
  readonly #supervisor: Supervisor;
  readonly #heartbeatMs: number;
  readonly #readers = new Set<ServerResponse>();

  constructor(supervisor: Supervisor, heartbeatMs: number = HEARTBEAT_MS) {
    this.#supervisor = supervisor;
    this.#heartbeatMs = heartbeatMs;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Begins with the state of every machine and of every open job, so that a reader needs no other call. */
  serve(response: ServerResponse): void {
    const { events, jobs } = this.#supervisor;
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    const write = (text: string): void => {
      if (response.writableLength > MOST_WAITING) response.destroy();
      else response.write(text);
    };
    const send = (event: DaemonEvent): void =>
      write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    const heartbeat = setInterval(() => write(': still here\n\n'), this.#heartbeatMs);
    this.#readers.add(response);
    events.on('event', send);
    response.once('close', () => {
      clearInterval(heartbeat);
      events.off('event', send);
      this.#readers.delete(response);
    });
    for (const machine of this.#supervisor.machines()) send({ type: 'machine', machine });
    for (const job of jobs.list()) if (job.endedAt === undefined) send({ type: 'job', job });
  }

  close(): void {
    for (const response of this.#readers) response.end();
  }
}
