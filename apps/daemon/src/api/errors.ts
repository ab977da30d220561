import { isFitdocError, type ErrorCode } from '@fitdoc/interface';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';

const STATUS: Partial<Record<ErrorCode, number>> = {
  ARGUMENT_INVALID: 400,
  LOCATION_INVALID: 400,
  LOCATION_UNKNOWN: 400,
  MACHINE_NOT_FOUND: 404,
  CHECKPOINT_NOT_FOUND: 404,
  REPOSITORY_NOT_FOUND: 404,
  STORE_NOT_FOUND: 404,
  MACHINE_BUSY: 409,
  MACHINE_NOT_RUNNING: 409,
  MACHINE_CONFLICT: 409,
  REPOSITORY_LOCKED: 409,
  CHECKPOINT_AMBIGUOUS: 409,
  CHECKPOINT_IN_USE: 409,
  MACHINE_INCOMPATIBLE: 409,
  CONFIG_INVALID: 422,
  STORE_UNAVAILABLE: 503,
  ABORTED: 503,
};

export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** What only the API has, and the libraries below know nothing of, is not there. */
export class NotFoundError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

/** Answers an error as {code, message, hint}. What is a defect of ours is logged, and its text stays here. */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, body } = describe(error);
  if (status >= 500) request.log.error({ err: error }, 'request failed');
  return reply.status(status).type('application/json').send(body);
}

function describe(error: FastifyError): { readonly status: number; readonly body: ErrorBody } {
  if (isFitdocError(error)) {
    const { code, message, hint } = error as ErrorBody;
    const status = STATUS[code as ErrorCode] ?? 500;
    return { status, body: { code, message, ...(hint !== undefined && { hint }) } };
  }
  if ((error as Error) instanceof NotFoundError) {
    const { code, message, hint } = error as unknown as NotFoundError;
    return { status: 404, body: { code, message, hint } };
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const faults = error.validation.map(({ instancePath, message }) =>
      `${instancePath.slice(1)} ${message}`.trim(),
    );
    const message = `The ${error.validationContext ?? 'request'} is not right: ${faults.join('; ')}.`;
    return { status: 400, body: { code: 'ARGUMENT_INVALID', message, hint: DOCUMENT } };
  }
  const { statusCode, message } = error;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, body: { code: 'ARGUMENT_INVALID', message, hint: DOCUMENT } };
  }
  const hidden = 'The daemon failed to answer; its log says why.';
  return { status: 500, body: { code: 'INTERNAL', message: hidden } };
}

const DOCUMENT = 'What requests look like stands in /openapi.json.';

export function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const body: ErrorBody = {
    code: 'NOT_FOUND',
    message: `There is no ${request.method} ${request.url.split('?')[0] ?? ''}.`,
    hint: DOCUMENT,
  };
  return reply.status(404).type('application/json').send(body);
}
