import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorBody } from './errors.js';

type Guard = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined>;

/** Names under which a browser reaches the socket when it is forwarded to the operator's own machine. */
const LOCAL = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;

/**
 * For the unix socket, where the file's mode is the permission. A browser may reach it too, through a forwarded
 * port: then pages of other sites must not, neither by a request of their own nor by a name of their own that
 * leads here.
 */
export function localGuard(): Guard {
  return async (request, reply) => {
    if (!LOCAL.test(request.headers.host ?? '')) {
      return refuse(reply, 403, {
        code: 'FORBIDDEN',
        message: `The host ${request.headers.host ?? ''} is not served here.`,
        hint: 'Use http://localhost/ with the socket.',
      });
    }
    return foreignPage(request, reply);
  };
}

/** What a route's `config` may say to the guards. */
interface Access {
  /** Whether an answer tells nothing that is not published anyhow. */
  readonly isPublic?: (request: FastifyRequest) => boolean;
}

/**
 * For TCP: every request, but for what is public, shows the token, as `Authorization: Bearer TOKEN`, or as the password of Basic
 * authentication, which browsers ask their user for.
 */
export function tokenGuard(token: string): Guard {
  const expected = digest(token);
  return async (request, reply) => {
    if ((request.routeOptions.config as Access).isPublic?.(request)) return undefined;
    const shown = shownToken(request.headers.authorization);
    if (shown === undefined || !timingSafeEqual(digest(shown), expected)) {
      void reply.header('www-authenticate', challengeTo(request.headers.authorization));
      return refuse(reply, 401, {
        code: 'UNAUTHORIZED',
        message: shown === undefined ? 'A token is needed.' : 'The token is wrong.',
        hint: "Send it as Authorization: Bearer TOKEN, or as the password of any user; it stands in the daemon's token-file.",
      });
    }
    return foreignPage(request, reply);
  };
}

/** A browser that is challenged for a password asks its user, and holds back the answer from the page that asked. */
function challengeTo(header: string | undefined): string {
  if (/^Bearer /i.test(header ?? '')) return 'Bearer realm="fitdocd", error="invalid_token"';
  return 'Basic realm="fitdocd", charset="UTF-8"';
}

function shownToken(header: string | undefined): string | undefined {
  const [, scheme, value] = /^(Bearer|Basic) +(\S+)$/i.exec(header ?? '') ?? [];
  if (scheme === undefined || value === undefined) return undefined;
  if (scheme.toLowerCase() === 'bearer') return value;
  const pair = Buffer.from(value, 'base64').toString();
  const colon = pair.indexOf(':');
  return colon < 0 ? undefined : pair.slice(colon + 1);
}

/** Hashed, so that the comparison's time tells nothing, not even a length. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Refuses what a page of another site asks for: browsers add their user's credentials to that unasked. */
async function foreignPage(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const foreignOrigin = origin !== undefined && origin.replace(/^https?:\/\//, '') !== host;
  const foreignSite = site === 'cross-site' || site === 'same-site';
  if (!foreignOrigin && !(foreignSite && request.method !== 'GET')) return undefined;
  return refuse(reply, 403, { code: 'FORBIDDEN', message: 'Pages of other sites may not use this API.' });
}

function refuse(reply: FastifyReply, status: number, body: ErrorBody): FastifyReply {
  return reply.status(status).type('application/json').send(body);
}
