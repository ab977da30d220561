import { z } from 'zod';
import { accepted, errors, type ApiContext, type App } from './context.js';
import { jobStatus, standbyStatus } from './schemas.js';

const params = z.object({ name: z.string() });
const tags = ['standbys'];

/** Machines that are protected elsewhere and kept ready here, and the way to start them. */
export function standbyRoutes(app: App, { supervisor }: ApiContext): void {
  app.get(
    '/v1/standbys',
    { schema: { tags, summary: 'All standbys', response: { 200: z.array(standbyStatus), ...errors } } },
    () => supervisor.standbys.list(),
  );
  app.get(
    '/v1/standbys/:name',
    { schema: { tags, summary: 'One standby', params, response: { 200: standbyStatus, ...errors } } },
    ({ params: { name } }) => supervisor.standbys.get(name).status(),
  );
  app.post(
    '/v1/standbys/:name/promote',
    {
      schema: {
        ...{ tags, summary: 'Start the machine here, in place of the one that was protected', params },
        body: z
          .object({
            again: z
              .boolean()
              .default(false)
              .describe('though another standby was promoted, or this one, and has ended for good'),
            asItIs: z
              .boolean()
              .default(false)
              .describe('from what is ready, though the repository may hold something newer'),
          })
          .nullish(),
        response: { 202: jobStatus, ...errors },
      },
    },
    async ({ params: { name }, body }, reply) =>
      accepted(reply, await supervisor.startPromotion(name, body ?? {})),
  );
}
