import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What happens to a request: `busy` is answered 503 and goes no further; `reset` loses the connection;
 * `half-sent` gives the server half of the body; `unanswered` is done by the server, and its answer is lost;
 * `half-answered` breaks off in the answer's body; `slow` takes its time; `hang` is never answered; `twice` is
 * done by the server twice, and answered with the second answer.
 */
export type HttpFault =
  'busy' | 'reset' | 'half-sent' | 'unanswered' | 'half-answered' | 'slow' | 'hang' | 'twice';

export interface ProxiedRequest {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface ProxiedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Decides what happens to a request: a fault, an answer in the server's place, or nothing. */
export type FaultPlan = (
  request: ProxiedRequest,
) => HttpFault | ProxiedAnswer | undefined | Promise<HttpFault | ProxiedAnswer | undefined>;

export interface FaultProxy {
  readonly endpoint: string;
  /** May be replaced at any time. */
  plan: FaultPlan;
  /** How often each fault was done. */
  readonly done: Map<HttpFault, number>;
  /** The requests seen, in order. */
  readonly seen: ProxiedRequest[];
  stop(): Promise<void>;
}

/** An error as S3 servers answer it. */
export function s3Error(status: number, code: string): ProxiedAnswer {
  const body = Buffer.from(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
  return { status, headers: { 'content-type': 'application/xml' }, body };
}

/** Starts a proxy on loopback in front of a server, through which each request may go wrong. */
export async function startFaultProxy(
  target: string,
  plan: FaultPlan = () => undefined,
): Promise<FaultProxy> {
  const server = createServer((request, response) => {
    void exchange(request, response).catch(() => response.destroy());
  });
  const exchange = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/', headers } = request;
    const proxied = { method, url, headers, body: await read(request) };
    proxy.seen.push({ ...proxied, body: Buffer.alloc(0) });
    const fate = await proxy.plan(proxied);
    if (typeof fate === 'string') proxy.done.set(fate, (proxy.done.get(fate) ?? 0) + 1);
    await carryOut(target, proxied, response, fate);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    plan,
    done: new Map(),
    seen: [],
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return proxy;
}

async function carryOut(
  target: string,
  request: ProxiedRequest,
  response: ServerResponse,
  fate: HttpFault | ProxiedAnswer | undefined,
): Promise<void> {
  if (typeof fate === 'object') return reply(response, fate);
  if (fate === 'busy') return reply(response, s3Error(503, 'SlowDown'));
  if (fate === 'hang') return;
  if (fate === 'reset') return void response.destroy();
  if (fate === 'half-sent') {
    await forward(target, request, request.body.length >> 1).catch(() => undefined);
    return void response.destroy();
  }
  if (fate === 'slow') await sleep(50 + Math.random() * 300);
  if (fate === 'twice') await forward(target, request);
  const answer = await forward(target, request);
  if (fate === 'unanswered') return void response.destroy();
  if (fate === 'half-answered') {
    response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length + 1 });
    response.write(answer.body.subarray(0, answer.body.length >> 1), () => response.destroy());
    return;
  }
  if (fate === 'slow') await sleep(50 + Math.random() * 300);
  reply(response, answer);
}

function reply(response: ServerResponse, { status, headers, body }: ProxiedAnswer): void {
  response.writeHead(status, { ...headers });
  response.end(body);
}

async function read(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Headers go as they are, the host's included, for they are signed. With `cutAt` the connection ends there. */
function forward(target: string, request: ProxiedRequest, cutAt?: number): Promise<ProxiedAnswer> {
  const { method, url, headers, body } = request;
  return new Promise((resolve, reject) => {
    const upstream = send(new URL(target), { method, path: url, headers, agent: false }, (answer) => {
      read(answer).then(
        (content) => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: content }),
        reject,
      );
    });
    upstream.once('error', reject);
    if (cutAt === undefined) upstream.end(body);
    else upstream.write(body.subarray(0, Math.max(cutAt, 1)), () => upstream.destroy(new Error('cut')));
  });
}
