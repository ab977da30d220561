import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobStatus, MachineStatus, MemoryMap, RepositoryStatus } from '../src/model.js';
import { mock, Place, type Answer, type Running } from './support/daemon.js';

const LONG = { timeout: 180_000 };
const TOKEN = 'a-token-that-only-this-test-knows';

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

let place: Place;
let daemon: Running;
let url: string;

beforeAll(async () => {
  place = await Place.make();
  await writeFile(place.file('token'), `${TOKEN}\n`);
  await place.configure(
    mock('a', 'every = "500ms"\nretention = { keep-last = 2 }') +
      mock('slow', 'every = "1h"', '&slow-capture=600s&disks=0') +
      mock('quiet', 'every = "1h"'),
    `listen = "127.0.0.1:0"\ntoken-file = "${place.file('token')}"\nmax-captures = 8`,
  );
  daemon = await place.start().ready();
  url = String((await daemon.logged(({ tcp }) => typeof tcp === 'string'))['tcp']);
  await daemon.until('a', ({ checkpoints }) => checkpoints >= 2);
  await daemon.until('quiet', ({ checkpoints }) => checkpoints >= 1);
}, 300_000);

afterAll(() => place.remove());

describe('machines', () => {
  test('are listed, with their timeline and repository', LONG, async () => {
    const machines = await daemon.get<MachineStatus[]>('/v1/machines');
    expect(machines.map(({ name }) => name)).toEqual(['a', 'slow', 'quiet']);
    expect(machines[0]).toMatchObject({
      machineId: 'a',
      hypervisor: 'mock',
      repository: 'local',
      intervalMs: 500,
    });
    const all = await daemon.timeline('a');
    const newest = await daemon.get<{ id: string }[]>('/v1/machines/a/checkpoints?limit=1');
    expect(newest).toHaveLength(1);
    expect(all.map(({ id }) => id)).not.toContain(undefined);
    const [repository] = await daemon.get<RepositoryStatus[]>('/v1/repositories');
    expect(repository).toMatchObject({
      name: 'local',
      reachable: true,
      damaged: 0,
      machines: ['a', 'slow', 'quiet'],
    });
    expect(repository?.checkpoints).toBeGreaterThanOrEqual(3);
  });

  test('are suspended and resumed, and a checkpoint can be asked for meanwhile', LONG, async () => {
    const suspended = await daemon.request<MachineStatus>('/v1/machines/quiet/suspend', { method: 'POST' });
    expect(suspended.status).toBe(200);
    await daemon.until('quiet', ({ state }) => state === 'suspended');
    const { checkpoints } = await daemon.machine('quiet');
    const job = await daemon.job('/v1/machines/quiet/checkpoint');
    expect(job).toMatchObject({ state: 'done', result: { kind: 'increment' } });
    expect(await daemon.machine('quiet')).toMatchObject({ state: 'suspended', checkpoints: checkpoints + 1 });
    await daemon.request('/v1/machines/quiet/resume', { method: 'POST' });
    const resumed = await daemon.until(
      'quiet',
      ({ state, checkpoints: n }) => state === 'protected' && n > checkpoints + 1,
    );
    // An hour of silence is no hour of falling behind.
    expect(resumed.missed).toBe(0);
  });

  test('have a map of the memory that a checkpoint changed', LONG, async () => {
    const map = await daemon.get<MemoryMap>('/v1/machines/quiet/memory-map?checkpoint=latest&bins=64');
    const [last] = (await daemon.timeline('quiet')).slice(-1);
    expect(map).toMatchObject({ checkpoint: last?.id, kind: 'increment', exact: true });
    expect(map.bins.length).toBeLessThanOrEqual(64);
    expect(map.bins.length * map.pagesPerBin).toBeGreaterThanOrEqual(map.pages);
    expect(map.bins.reduce((sum, bin) => sum + bin, 0)).toBe(last?.pages);
    expect(Math.max(...map.bins)).toBeLessThanOrEqual(map.pagesPerBin);
    expect(map.regions[0]).toMatchObject({ firstGfn: 0 });
  });
});

describe('jobs', () => {
  test('verify, prune and restore', LONG, async () => {
    expect(await daemon.job('/v1/machines/a/verify', { data: 1 })).toMatchObject({
      state: 'done',
      result: { findings: [] },
    });
    expect((await daemon.machine('a')).lastVerifiedAt).toBeDefined();
    const dry = await daemon.job('/v1/machines/a/prune', { dryRun: true });
    expect(dry).toMatchObject({ state: 'done', result: { dryRun: true } });
    const restored = await daemon.job('/v1/machines/a/restore', { checkpoint: 'latest', to: 'mock:copy' });
    expect(restored).toMatchObject({ state: 'done', result: { state: 'running' } });
    const busy = await daemon.job('/v1/machines/a/restore', { checkpoint: 'latest', to: 'mock:a' });
    expect(busy).toMatchObject({ state: 'failed', problem: { code: 'MACHINE_BUSY' } });
    const listed = await daemon.get<JobStatus[]>('/v1/jobs');
    expect(listed[0]?.id).toBe(busy.id);
  });

  test('are cancelled, and what they did is rolled back', LONG, async () => {
    // The base of this machine takes ten minutes: what is asked for waits behind it.
    await daemon.until('slow', ({ state }) => state === 'capturing');
    const begun = await daemon.request<JobStatus>('/v1/machines/slow/checkpoint', { method: 'POST' });
    expect(begun).toMatchObject({ status: 202, body: { state: 'running' } });
    expect(begun.headers.location).toBe(`/v1/jobs/${begun.body.id}`);
    const cancelled = await daemon.request(`/v1/jobs/${begun.body.id}`, { method: 'DELETE' });
    expect(cancelled.status).toBe(202);
    expect((await daemon.ended(begun.body.id)).state).toBe('cancelled');
    expect((await daemon.machine('slow')).failures).toBe(0);
  });
});

describe('errors', () => {
  const cases: [string, string, string, unknown, number, string][] = [
    ['an unknown machine', 'GET', '/v1/machines/none', undefined, 404, 'MACHINE_NOT_FOUND'],
    ['an unknown job', 'GET', '/v1/jobs/none', undefined, 404, 'JOB_NOT_FOUND'],
    ['an unknown route', 'GET', '/v1/nothing', undefined, 404, 'NOT_FOUND'],
    [
      'an unknown checkpoint',
      'GET',
      '/v1/machines/a/memory-map?checkpoint=ffffffff',
      undefined,
      404,
      'CHECKPOINT_NOT_FOUND',
    ],
    ['a bad body', 'POST', '/v1/machines/a/verify', { data: 7 }, 400, 'ARGUMENT_INVALID'],
    ['a missing body', 'POST', '/v1/machines/a/restore', undefined, 400, 'ARGUMENT_INVALID'],
    ['a bad query', 'GET', '/v1/machines/a/memory-map?bins=x', undefined, 400, 'ARGUMENT_INVALID'],
  ];
  test.each(cases)('%s', LONG, async (_what, method, path, body, status, code) => {
    const answer = await daemon.request<Problem>(path, { method, body });
    expect(answer.body).toMatchObject({
      code,
      message: expect.any(String) as unknown,
      hint: expect.any(String) as unknown,
    });
    expect(answer.status).toBe(status);
  });

  test('a prune without rules says what to add', LONG, async () => {
    const job = await daemon.job('/v1/machines/quiet/prune');
    expect(job.problem).toMatchObject({
      code: 'ARGUMENT_INVALID',
      hint: expect.stringMatching(/keep-last/) as unknown,
    });
  });
});

describe('what watches the daemon', () => {
  test('health', LONG, async () => {
    expect(await daemon.get('/healthz')).toMatchObject({ status: 'ok', machines: 3 });
  });

  test('metrics', LONG, async () => {
    expect(await daemon.job('/v1/machines/a/prune')).toMatchObject({ state: 'done' });
    const { text, headers } = await daemon.request('/metrics');
    expect(headers['content-type']).toMatch(/^text\/plain/);
    const value = (series: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${series} `))
          ?.split(' ')[1],
      );
    expect(value('fitdoc_pause_seconds_count{vm="a"}')).toBeGreaterThanOrEqual(2);
    expect(value('fitdoc_checkpoint_bytes_total{vm="a",kind="base"}')).toBeGreaterThan(1000);
    expect(value('fitdoc_checkpoint_bytes_total{vm="a",kind="increment"}')).toBeGreaterThan(100);
    expect(value('fitdoc_dirty_pages_total{vm="a"}')).toBeGreaterThan(100);
    expect(value('fitdoc_restore_points{vm="a"}')).toBeGreaterThanOrEqual(2);
    expect(value('fitdoc_history_kept_points{vm="a",rule="last"}')).toBe(2);
    expect(Math.abs(value('fitdoc_last_success_timestamp_seconds{vm="a"}') - Date.now() / 1000)).toBeLessThan(
      60,
    );
    expect(value('fitdoc_last_verify_timestamp_seconds{vm="a"}')).toBeGreaterThan(1e9);
    expect(value('fitdoc_machine_state{vm="slow",state="capturing"}')).toBe(1);
  });

  test('an OpenAPI document with every route', LONG, async () => {
    const document = await daemon.get<{ paths: Record<string, object>; openapi: string }>('/openapi.json');
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths).sort()).toEqual([
      '/healthz',
      '/metrics',
      '/v1/events',
      '/v1/jobs',
      '/v1/jobs/{id}',
      '/v1/machines',
      '/v1/machines/{name}',
      '/v1/machines/{name}/boot',
      '/v1/machines/{name}/checkpoint',
      '/v1/machines/{name}/checkpoints',
      '/v1/machines/{name}/memory-map',
      '/v1/machines/{name}/prune',
      '/v1/machines/{name}/release',
      '/v1/machines/{name}/restore',
      '/v1/machines/{name}/resume',
      '/v1/machines/{name}/suspend',
      '/v1/machines/{name}/verify',
      '/v1/patterns',
      '/v1/reload',
      '/v1/repositories',
      '/v1/standbys',
      '/v1/standbys/{name}',
      '/v1/standbys/{name}/promote',
    ]);
  });

  test('events: what is, and then what happens', LONG, async () => {
    const seen = new Set<string>();
    const found = await daemon.event((event) => {
      if (event.type === 'machine') seen.add(event.machine.name);
      return event.type === 'checkpoint' && event.machine === 'a' ? event.checkpoint : undefined;
    });
    expect([...seen].sort()).toEqual(['a', 'quiet', 'slow']);
    expect(found.kind).toBe('increment');
  });

  test('a page at /, allowed to load nothing from elsewhere', LONG, async () => {
    const { status, headers } = await daemon.request('/');
    expect(status).toBe(200);
    expect(headers['content-security-policy']).toMatch(/default-src 'none'; script-src 'self'/);
    expect((await daemon.request('/../main.js')).status).toBe(404);
    expect((await daemon.request('/%2e%2e/main.js')).status).toBe(404);
  });
});

describe('who may ask', () => {
  test('the socket is for owner and group', LONG, async () => {
    expect((await stat(place.socket)).mode & 0o777).toBe(0o600);
  });

  const machines = (headers: Record<string, string>, from?: string): Promise<Answer<Problem>> =>
    daemon.request<Problem>('/v1/machines', { headers, ...(from !== undefined && { url: from }) });
  const basic = (password: string): string => `Basic ${Buffer.from(`anyone:${password}`).toString('base64')}`;

  test('TCP wants the token, as bearer or as password', LONG, async () => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: basic('wrong') }]) {
      const answer = await machines(headers, url);
      expect(answer.status).toBe(401);
      expect(answer.body.code).toBe('UNAUTHORIZED');
      const asBearer = headers.authorization?.startsWith('Bearer') ?? false;
      expect(answer.headers['www-authenticate']).toMatch(asBearer ? /^Bearer/ : /^Basic/);
      expect(answer.text).not.toContain(TOKEN);
    }
    for (const path of ['/metrics', '/healthz', '/openapi.json', '/v1/events', '/v1/nothing']) {
      expect((await daemon.request(path, { url })).status).toBe(401);
    }
    expect((await machines({ authorization: `Bearer ${TOKEN}` }, url)).status).toBe(200);
    expect((await machines({ authorization: basic(TOKEN) }, url)).status).toBe(200);
    expect(JSON.stringify(daemon.log)).not.toContain(TOKEN);
  });

  test("the page itself is nobody's secret, and tells nothing", LONG, async () => {
    const { status, text } = await daemon.request('/', { url });
    expect(status).toBe(200);
    expect(text).toContain('<div id="app">');
    expect(text).not.toMatch(/quiet|slow|mock:/);
    for (const path of ['/%2e%2e/main.js', '/v1/machines?token=' + TOKEN])
      expect((await daemon.request(path, { url })).status).toBe(401);
  });

  test('pages of other sites may not', LONG, async () => {
    const origin = { origin: 'http://evil.example' };
    expect((await machines(origin)).status).toBe(403);
    expect((await machines({ host: 'evil.example' })).status).toBe(403);
    const post = { method: 'POST', url, headers: { authorization: `Bearer ${TOKEN}`, ...origin } };
    expect((await daemon.request('/v1/machines/a/checkpoint', post)).status).toBe(403);
    expect((await machines({ host: 'localhost:8080', origin: 'http://localhost:8080' })).status).toBe(200);
  });
});

test('a reader of events that does not read is dropped', LONG, async () => {
  const socket = net.connect(place.socket);
  socket.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'readable');
  socket.pause();
  const closed = once(socket, 'close');
  // Every refused job makes two events of two kilobytes.
  const name = 'x'.repeat(900);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify({ checkpoint: name, to: `mock:${name}` });
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const path = '/v1/machines/a/restore';
      const request = http.request(
        { socketPath: place.socket, path, method: 'POST', agent, headers },
        (response) => {
          response.resume().once('end', resolve);
        },
      );
      request.once('error', reject).end(body);
    });
  let dropped = false;
  void closed.then(() => (dropped = true));
  const log = daemon.logged(({ msg }) => msg?.includes('reader of events') ?? false);
  let warned = false;
  void log.then(() => (warned = true));
  for (let sent = 0; !warned && sent < 6000; sent += 8) await Promise.all(Array.from({ length: 8 }, ask));
  await log;
  socket.resume();
  await closed;
  expect(dropped).toBe(true);
  agent.destroy();
});

describe('the command line', () => {
  const command = new URL('../../cli/dist/main.js', import.meta.url).pathname;
  const fitdoc = (...args: string[]): Promise<{ code: unknown; out: string; err: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [command, ...args], (error, out, err) =>
        resolve({ code: error?.code ?? 0, out, err }),
      );
    });

  test('shows the status', LONG, async () => {
    const { out, code } = await fitdoc('status', '--daemon', place.socket);
    expect(code).toBe(0);
    expect(out).toMatch(/^machine +state +last +checkpoint +pause/);
    expect(out).toMatch(/^a +(protected|capturing) +[\d.]+ s ago +[0-9a-f]{12} /m);
    const json = await fitdoc('status', 'a', '--json', '--daemon', place.socket);
    expect(JSON.parse(json.out)).toMatchObject({ message_type: 'summary', machines: [{ name: 'a' }] });
  });

  test('has the daemon take a checkpoint', LONG, async () => {
    const { out, code } = await fitdoc('save', 'quiet', '--json', '--daemon', place.socket);
    expect(code).toBe(0);
    const saved = JSON.parse(out) as { id: string };
    expect((await daemon.machine('quiet')).lastCheckpoint?.id).toBe(saved.id);
    const refused = await fitdoc('save', 'quiet', '--tag', 'x', '--daemon', place.socket);
    expect(refused).toMatchObject({ code: 2, err: expect.stringMatching(/no place for: tag/) as unknown });
    const unknown = await fitdoc('save', 'none', '--daemon', place.socket);
    expect(unknown).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no machine none.*\nIt has: a, slow, quiet/) as unknown,
    });
  });

  test('says what to do when no daemon runs', LONG, async () => {
    const { code, err } = await fitdoc('status', '--daemon', place.file('none.sock'));
    expect(code).toBe(1);
    expect(err).toMatch(/No daemon answers at .*none\.sock/);
    expect(err).toMatch(/Start it \(fitdocd --config FILE\)/);
  });
});
