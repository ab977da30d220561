import { z } from 'zod';
import { accepted, errors, type ApiContext, type App } from './context.js';
import { NotFoundError } from './errors.js';
import { jobStatus } from './schemas.js';

const machine = z.object({ name: z.string() });
const tags = ['jobs'];
const started = { 202: jobStatus, ...errors };

/** Long work is answered at once with a job, which is looked up, waited for and cancelled here. */
export function jobRoutes(app: App, context: ApiContext): void {
  startRoutes(app, context);
  const { jobs } = context.supervisor;
  app.get(
    '/v1/jobs',
    { schema: { tags, summary: 'Jobs, newest first', response: { 200: z.array(jobStatus), ...errors } } },
    () => jobs.list(),
  );
  const params = z.object({ id: z.string() });
  const wait = z.coerce.number().min(0).max(60).default(0).describe('seconds to wait for its end');
  app.get(
    '/v1/jobs/:id',
    {
      schema: {
        ...{ tags, summary: 'One job', params, querystring: z.object({ wait }) },
        response: { 200: jobStatus, ...errors },
      },
    },
    async (request) =>
      (await jobs.wait(request.params.id, request.query.wait * 1000)) ?? unknown(request.params.id),
  );
  app.delete(
    '/v1/jobs/:id',
    {
      schema: {
        ...{
          tags,
          summary:
            'Cancel a job; its state says when it has ended. A restore whose guest runs already goes on',
          params,
        },
        response: { 202: jobStatus, ...errors },
      },
    },
    ({ params: { id } }, reply) => {
      jobs.cancel(id);
      void reply.status(202);
      return jobs.get(id) ?? unknown(id);
    },
  );
}

const restoreWish = z.object({
  checkpoint: z.string().min(1).describe('an id, a tag, latest~2, a time'),
  to: z.string().min(1).describe('scheme:location of a waiting hypervisor'),
  force: z.boolean().default(false).describe('where the target is a file that is there, replace it'),
  lazy: z
    .boolean()
    .optional()
    .describe(
      'true: the guest runs before its memory is there, or not at all; false: all of it is loaded first; absent: the first where it can be and the repository is near, else the second, and a note says why',
    ),
});

function startRoutes(app: App, { supervisor }: ApiContext): void {
  app.post(
    '/v1/machines/:name/checkpoint',
    { schema: { tags, summary: 'Take a checkpoint now', params: machine, response: started } },
    ({ params: { name } }, reply) => accepted(reply, supervisor.startCheckpoint(name)),
  );
  app.post(
    '/v1/machines/:name/restore',
    {
      schema: {
        ...{ tags, summary: 'Bring the machine back to a checkpoint', params: machine, response: started },
        body: restoreWish,
      },
    },
    ({ params: { name }, body }, reply) => accepted(reply, supervisor.startRestore(name, body)),
  );
  const data = z.number().min(0).max(1).default(0).describe('share of the page data to read and decode');
  app.post(
    '/v1/machines/:name/verify',
    {
      schema: {
        ...{ tags, summary: "Verify the machine's checkpoints", params: machine, response: started },
        body: z.object({ data }).nullish(),
      },
    },
    ({ params: { name }, body }, reply) => accepted(reply, supervisor.startVerify(name, body?.data ?? 0)),
  );
  app.post(
    '/v1/machines/:name/boot',
    {
      schema: {
        ...{ tags, summary: 'Start the newest checkpoint apart from everything, and see that it runs' },
        ...{ params: machine, response: started },
      },
    },
    ({ params: { name } }, reply) => accepted(reply, supervisor.startBoot(name)),
  );
  app.post(
    '/v1/machines/:name/prune',
    {
      schema: {
        ...{
          tags,
          summary: 'Remove what the retention rules do not keep',
          params: machine,
          response: started,
        },
        body: z.object({ dryRun: z.boolean().default(false) }).nullish(),
      },
    },
    ({ params: { name }, body }, reply) =>
      accepted(reply, supervisor.startPrune(name, body?.dryRun ?? false)),
  );
}

function unknown(id: string): never {
  const hint = 'Jobs that ended are forgotten after a while; /v1/jobs lists those that are known.';
  throw new NotFoundError('JOB_NOT_FOUND', `There is no job ${id}.`, hint);
}
