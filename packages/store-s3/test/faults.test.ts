import { isFitdocError, type Store } from '@fitdoc/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  s3Error,
  startFaultProxy,
  type FaultProxy,
  type HttpFault,
  type ProxiedRequest,
} from '../../../tools/lab/src/ceph/index.js';
import { areEqual, chunksOf, sampleBytes } from './support/bytes.js';
import { because, newPlace, openStore, server, withoutServer } from './support/server.js';

const small = sampleBytes(3_000);
const large = sampleBytes(6 * 2 ** 20, 2);
const isPut = ({ method, url }: ProxiedRequest): boolean => method === 'PUT' && !url.includes('uploadId');
const isPart = ({ method, url }: ProxiedRequest): boolean => method === 'PUT' && url.includes('partNumber');
const isStart = ({ method, url }: ProxiedRequest): boolean => method === 'POST' && url.includes('uploads');
const isCompletion = ({ method, url }: ProxiedRequest): boolean =>
  method === 'POST' && url.includes('uploadId');
const isGet = ({ method, url }: ProxiedRequest): boolean => method === 'GET' && !url.includes('list-type');
const isList = ({ url }: ProxiedRequest): boolean => url.includes('list-type');

describe.skipIf(withoutServer !== undefined)(`requests that go wrong on their way${because}`, () => {
  let proxy: FaultProxy;
  let store: Store;

  beforeAll(async () => {
    proxy = await startFaultProxy(server().endpoint);
    store = await openStore(newPlace(proxy.endpoint), { timeoutMs: 4_000 });
    await store.put('first', small); // asks what the server can do
  });
  afterEach(() => (proxy.plan = () => undefined));
  afterAll(async () => {
    await store.close();
    await proxy.stop();
  });

  /** Lets the first requests of a kind go wrong. */
  function breakFirst(kind: (request: ProxiedRequest) => boolean, fault: HttpFault, times = 1): void {
    let left = times;
    proxy.plan = (request) => (kind(request) && left-- > 0 ? fault : undefined);
  }

  const everywhere: HttpFault[] = [
    'busy',
    'reset',
    'half-sent',
    'unanswered',
    'half-answered',
    'slow',
    'twice',
  ];
  const steps: [string, (request: ProxiedRequest) => boolean][] = [
    ['the put', isPut],
    ['the start of an upload', isStart],
    ['a part', isPart],
    ['the completion', isCompletion],
  ];

  it.each(everywhere)('stores once, and says so, when any step is %s', async (fault) => {
    for (const [step, kind] of steps) {
      const key = `once/${fault}/${step.replaceAll(' ', '-')}`;
      const body = kind === isPut ? small : chunksOf(large, 1_000_003);
      const bytes = kind === isPut ? small : large;
      breakFirst(kind, fault, 2);
      const stat = await store.put(key, body);
      expect(stat.size, `${step} ${fault}`).toBe(bytes.length);
      expect(areEqual(await store.get(key), bytes)).toBe(true);
      const again = await store.put(key, bytes).catch((error: unknown) => error);
      expect(isFitdocError(again, 'STORE_EXISTS'), `${step} ${fault}: a second put`).toBe(true);
    }
  });

  it('does not take an object of another for its own when an answer is lost', async () => {
    breakFirst(isPut, 'unanswered');
    await store.put('theirs', small);
    for (const fault of ['unanswered', 'reset', 'twice'] as const) {
      breakFirst(isPut, fault);
      // The very same bytes: only the mark of the put tells them apart.
      const failure = await store.put('theirs', small).catch((error: unknown) => error);
      expect(isFitdocError(failure, 'STORE_EXISTS'), fault).toBe(true);
    }
  });

  it('replaces, reads, lists and deletes through trouble', async () => {
    for (const fault of everywhere) {
      breakFirst(isPut, fault);
      await store.put('r/one', small.subarray(0, 2_000), { mode: 'replace' });
      breakFirst(isGet, fault, 2);
      expect(areEqual(await store.get('r/one'), small.subarray(0, 2_000)), fault).toBe(true);
      breakFirst(isGet, fault);
      const range = await store.get('r/one', { offset: 100, length: 50 });
      expect(areEqual(range, small.subarray(100, 150)), fault).toBe(true);
      breakFirst(isList, fault, 2);
      const listed: string[] = [];
      for await (const { key } of store.list('r/')) listed.push(key);
      expect(listed, fault).toEqual(['r/one']);
      breakFirst(({ method }) => method === 'HEAD', fault);
      expect((await store.stat('r/one'))?.size).toBe(2_000);
      breakFirst(({ method }) => method === 'DELETE', fault);
      await store.delete('r/one');
      expect(await store.stat('r/one')).toBe(undefined);
    }
  });

  it('gives up on a server that never answers, and says that a later try may help', async () => {
    const impatient = await openStore(newPlace(proxy.endpoint), { timeoutMs: 300, attempts: 2 });
    proxy.plan = () => 'hang';
    const begun = Date.now();
    const failure = await impatient.get('x').catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
    expect(Date.now() - begun).toBeLessThan(10_000);
    await impatient.close();
  });

  it('is cancelled while it waits for an answer, and while it waits to try again', async () => {
    for (const fault of ['hang', 'busy'] as const) {
      const patient = await openStore(newPlace(proxy.endpoint), { timeoutMs: 60_000, attempts: 100 });
      proxy.plan = () => fault;
      const controller = new AbortController();
      const reading = patient.get('x', undefined, { signal: controller.signal });
      setTimeout(() => controller.abort(), 200);
      const begun = Date.now();
      await expect(reading).rejects.toMatchObject({ code: 'ABORTED' });
      expect(Date.now() - begun).toBeLessThan(3_000);
      proxy.plan = () => undefined;
      await patient.close();
    }
  });

  it('never leaves open whether a cancelled put has stored', async () => {
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      proxy.plan = (request) => {
        if (!isPut(request)) return undefined;
        setTimeout(() => controller.abort(), i * 10);
        return i % 2 ? 'slow' : 'unanswered';
      };
      const put = store.put(`c/${i}`, small, { signal: controller.signal });
      const outcome = await put.then(
        () => 'stored',
        (error: unknown) => (isFitdocError(error, 'ABORTED') ? 'cancelled' : String(error)),
      );
      proxy.plan = () => undefined;
      expect(outcome).toBe((await store.stat(`c/${i}`)) ? 'stored' : 'cancelled');
    }
  });

  it('tells of a put that failed for good, and leaves neither object nor parts', async () => {
    proxy.plan = (request) => (isPart(request) ? s3Error(403, 'QuotaExceeded') : undefined);
    await expect(store.put('full', chunksOf(large, 1e6))).rejects.toMatchObject({
      code: 'STORE_FULL',
      retryable: false,
    });
    expect(proxy.seen.at(-2)?.method, 'the parts are removed').toBe('DELETE');
    proxy.plan = (request) => (isCompletion(request) ? 'reset' : undefined);
    await expect(store.put('never', chunksOf(large, 1e6))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    proxy.plan = () => undefined;
    for await (const { key } of store.list('')) expect(['full', 'never']).not.toContain(key);
    await store.put('never', small);
  });
});
