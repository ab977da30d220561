import { learnDate } from './clock.js';
import { credentials, forgetToken } from './token.js';

/** An answer that is no success, or none at all: what happened and what to do next. */
export class RequestError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/**
 * A path beside the page. Not relative: the page's own address may hold the token (`http://operator:TOKEN@HOST/`), and
 * browsers refuse to fetch from such addresses. They remember the token all the same.
 */
function addressOf(path: string): URL {
  return new URL(path, location.origin + location.pathname);
}

/** Asks the daemon with the token that the page was given, or the browser for this origin. Throws RequestError. */
export async function open(method: string, path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(addressOf(path), {
      ...options,
      headers: { ...(options.headers as Record<string, string> | undefined), ...credentials() },
      method,
      credentials: 'same-origin',
      cache: 'no-store',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new RequestError(
      'UNREACHABLE',
      'The daemon does not answer.',
      'Check that fitdocd runs: systemctl status fitdocd',
    );
  }
  learnDate(response.headers.get('date'));
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await open(method, path, {
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
    ...(signal && { signal }),
  });
  return (await response.json()) as T;
}

async function refusal(response: Response): Promise<RequestError> {
  if (response.status === 401) {
    forgetToken();
    return new RequestError(
      'UNAUTHORIZED',
      'The daemon did not accept the token.',
      'Load the page again and give the token as the password; the user name does not matter.',
    );
  }
  const body = (await response.json().catch(() => ({}))) as Partial<RequestError>;
  return new RequestError(
    body.code ?? `HTTP_${response.status}`,
    body.message ?? `The daemon answered ${response.status} ${response.statusText}.`,
    body.hint,
  );
}

export function asRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  return new RequestError('INTERNAL', error instanceof Error ? error.message : String(error));
}
