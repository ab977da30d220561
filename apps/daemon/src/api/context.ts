import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Metrics } from '../metrics.js';
import type { JobStatus } from '../model.js';
import type { Supervisor } from '../supervisor/supervisor.js';
import type { EventStreams } from './events.js';
import { errorBody } from './schemas.js';

/** What the routes work on. */
export interface ApiContext {
  readonly supervisor: Supervisor;
  readonly metrics: Metrics;
  readonly events: EventStreams;
  /** Reads the configuration file again and takes it over; the names of the machines. CONFIG_INVALID. */
  readonly reload: () => Promise<string[]>;
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** The answers that every route may give when something is wrong. */
export const errors = { '4xx': errorBody, '5xx': errorBody } as const;

/** Answers with a job that was started, and where it is found. */
export function accepted(reply: Pick<FastifyReply, 'raw'>, job: JobStatus): JobStatus {
  reply.raw.statusCode = 202;
  reply.raw.setHeader('location', `/v1/jobs/${job.id}`);
  return job;
}

/** Aborted when the caller has gone: nobody waits for the answer any more. */
export function untilGone({ raw }: Pick<FastifyReply, 'raw'>): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  return gone.signal;
}
