import swagger from '@fastify/swagger';
import fastify, {
  type FastifyBaseLogger,
  type FastifyServerOptions,
  type onRequestAsyncHookHandler,
} from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { VERSION } from '../version.js';
import type { ApiContext, App } from './context.js';
import { dashboardRoutes } from './dashboard.js';
import { handleError, handleNotFound } from './errors.js';
import { generalRoutes } from './general.js';
import { jobRoutes } from './jobs.js';
import { machineRoutes } from './machines.js';
import { standbyRoutes } from './standbys.js';

/**
 * Schemas are zod's. Said when the server is made, and not after it: so it loads none of its own compilers, which
 * are hundreds of files. Its types know only those.
 */
const byZod = {
  compilersFactory: { buildValidator: () => validatorCompiler, buildSerializer: () => serializerCompiler },
} as unknown as NonNullable<FastifyServerOptions['schemaController']>;

/** The API without a place to listen at. `guard` sees every request first. */
export async function createApp(
  context: ApiContext,
  logger: Logger,
  guard: onRequestAsyncHookHandler,
): Promise<App> {
  const loggerInstance: FastifyBaseLogger = logger.child({}, { level: 'warn' });
  const app = fastify({
    loggerInstance,
    bodyLimit: 64 * 1024,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    schemaController: byZod,
  }).withTypeProvider<ZodTypeProvider>();
  app.setErrorHandler(handleError);
  app.setNotFoundHandler(handleNotFound);
  app.addHook('onRequest', guard);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'fitdocd',
        description: 'Checkpoints of running virtual machines: state, jobs, events.',
        version: VERSION,
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(async (routes) => {
    const typed = routes.withTypeProvider<ZodTypeProvider>();
    machineRoutes(typed, context);
    jobRoutes(typed, context);
    standbyRoutes(typed, context);
    generalRoutes(typed, context);
    await dashboardRoutes(typed);
  });
  await app.ready();
  return app;
}
