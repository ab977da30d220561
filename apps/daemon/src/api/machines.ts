import { z } from 'zod';
import { duration } from '../config/units.js';
import { memoryMapOf } from '../memory-map.js';
import { findCheckpoint } from '../supervisor/operations.js';
import { timelineOf } from '../timeline.js';
import { errors, untilGone, type ApiContext, type App } from './context.js';
import { machineStatus, memoryMap, patternStatus, timelineEntry } from './schemas.js';

const params = z.object({ name: z.string() });
const tags = ['machines'];

/** What machines are like: their state, their timeline, their memory. And their schedule's switch. */
export function machineRoutes(app: App, { supervisor }: ApiContext): void {
  app.get(
    '/v1/machines',
    { schema: { tags, summary: 'All machines', response: { 200: z.array(machineStatus), ...errors } } },
    () => supervisor.machines(),
  );
  app.get(
    '/v1/machines/:name',
    { schema: { tags, summary: 'One machine', params, response: { 200: machineStatus, ...errors } } },
    ({ params: { name } }) => supervisor.status(name),
  );
  app.get(
    '/v1/patterns',
    {
      schema: {
        ...{ tags, summary: 'Patterns of the configuration, and the machines that they match' },
        response: { 200: z.array(patternStatus), ...errors },
      },
    },
    () => supervisor.patterns.status(),
  );
  for (const verb of ['suspend', 'resume'] as const) {
    const summary =
      verb === 'suspend'
        ? 'Take no scheduled checkpoints of it; the guest runs and stays attached'
        : 'Take scheduled checkpoints again, end a release, and try at once where it waits to be attached';
    app.post(
      `/v1/machines/:name/${verb}`,
      { schema: { tags, summary, params, response: { 200: machineStatus, ...errors } } },
      ({ params: { name } }) => {
        const controller = supervisor.controller(name);
        controller[verb]();
        return supervisor.status(name);
      },
    );
  }
  releaseRoute(app, supervisor);
  timelineRoutes(app, supervisor);
}

function releaseRoute(app: App, supervisor: ApiContext['supervisor']): void {
  app.post(
    '/v1/machines/:name/release',
    {
      schema: {
        tags,
        summary:
          'Let go of it for a while, so that its operator can migrate it, save it or plug devices; answers when nothing is attached',
        params,
        body: z.object({ for: duration.describe('500ms, 1s, 10m, 12h') }),
        response: { 200: machineStatus, ...errors },
      },
    },
    async ({ params: { name }, body }) => {
      const controller = supervisor.controller(name);
      await controller.release(body.for);
      return supervisor.status(name);
    },
  );
}

function timelineRoutes(app: App, supervisor: ApiContext['supervisor']): void {
  app.get(
    '/v1/machines/:name/checkpoints',
    {
      schema: {
        tags,
        summary: "The machine's newest checkpoints, in the order in which they were taken",
        params,
        querystring: z.object({ limit: z.coerce.number().int().min(1).max(10_000).default(1000) }),
        response: { 200: z.array(timelineEntry), ...errors },
      },
    },
    async ({ params: { name }, query: { limit } }, reply) =>
      timelineOf(await supervisor.chain(name), limit, untilGone(reply)),
  );
  app.get(
    '/v1/machines/:name/memory-map',
    {
      schema: {
        tags,
        summary: 'Which memory a checkpoint changed, counted in equal stretches',
        params,
        querystring: z.object({
          checkpoint: z.string().default('latest').describe('an id, a tag, latest~2, a time'),
          bins: z.coerce.number().int().min(1).max(65_536).default(2048),
        }),
        response: { 200: memoryMap, ...errors },
      },
    },
    async ({ params: { name }, query: { checkpoint, bins } }, reply) => {
      const signal = untilGone(reply);
      const chain = await supervisor.chain(name);
      const entry = await findCheckpoint(chain, checkpoint, { signal });
      return memoryMapOf(chain.repository, entry, bins, signal);
    },
  );
}
