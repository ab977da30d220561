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

let clockOffsetMs = 0;

/** The daemon's time: ages must not depend on how well this computer's clock is set. */
export function daemonNow(): number {
  return Date.now() + clockOffsetMs;
}

/** Asks the daemon; the browser adds the credentials that its user gave for this origin. Throws RequestError. */
export async function open(method: string, path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...options, method, credentials: 'same-origin', cache: 'no-store' });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new RequestError(
      'UNREACHABLE',
      'The daemon does not answer.',
      'Check that fitdocd runs: systemctl status fitdocd',
    );
  }
  learnClock(response);
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

/** Whole seconds are all that the header has: smaller differences are noise. */
function learnClock(response: Response): void {
  const date = Date.parse(response.headers.get('date') ?? '');
  const offset = date - Date.now();
  if (!Number.isNaN(date)) clockOffsetMs = Math.abs(offset) > 2000 ? offset : 0;
}

async function refusal(response: Response): Promise<RequestError> {
  if (response.status === 401) {
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
