import { z } from 'zod';
import { repositoryStatuses } from '../repository-status.js';
import { errors, untilGone, type ApiContext, type App } from './context.js';
import { repositoryStatus } from './schemas.js';

/** Repositories, the event stream, and what keeps the daemon itself in sight. */
export function generalRoutes(app: App, { supervisor, metrics, events, reload }: ApiContext): void {
  const tags = ['daemon'];
  app.get(
    '/v1/repositories',
    {
      schema: {
        ...{ tags: ['repositories'], summary: 'All repositories and what they hold' },
        response: { 200: z.array(repositoryStatus), ...errors },
      },
    },
    (_request, reply) => repositoryStatuses(supervisor, untilGone(reply)),
  );
  app.get(
    '/v1/events',
    {
      schema: {
        ...{
          tags,
          summary: 'All that happens, as server-sent events: machine, checkpoint, standby, job, reloaded',
        },
        produces: ['text/event-stream'],
      },
    },
    (_request, reply) => {
      reply.hijack();
      events.serve(reply.raw);
    },
  );
  const reloaded = z.object({ machines: z.array(z.string()) });
  app.post(
    '/v1/reload',
    { schema: { tags, summary: 'Read the configuration again', response: { 200: reloaded, ...errors } } },
    async () => ({ machines: await reload() }),
  );
  const health = z.object({ status: z.literal('ok'), machines: z.number(), protected: z.number() });
  app.get(
    '/healthz',
    { schema: { tags, summary: 'Whether the daemon answers', response: { 200: health, ...errors } } },
    () => {
      const machines = supervisor.machines();
      const good = machines.filter(({ state }) => state === 'protected' || state === 'capturing');
      return { status: 'ok' as const, machines: machines.length, protected: good.length };
    },
  );
  app.get(
    '/metrics',
    { schema: { tags, summary: 'Figures for Prometheus', produces: ['text/plain'] } },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  );
}
