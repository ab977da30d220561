import { expect, test } from 'vitest';
import type { QmpClient } from '../src/qmp/client.js';
import type { QmpEvent } from '../src/qmp/transport.js';
import { completed, PauseWatch } from '../src/session/pause.js';

/** A QEMU that says what the test has it say, and remembers what it was told. */
function fake() {
  const listeners = new Set<(event: QmpEvent) => void>();
  const told: string[] = [];
  let status = 'running';
  const qmp = {
    closed: new AbortController().signal,
    onEvent: (listener: (event: QmpEvent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    execute: async (command: string) => {
      told.push(command);
      return { status, running: status === 'running' };
    },
  } as unknown as QmpClient;
  const say = (name: string, atMs: number, data: QmpEvent['data'] = {}): void =>
    listeners.forEach((listener) => listener({ name, atMs, data }));
  const pauses = new PauseWatch(qmp);
  pauses.watch();
  return { qmp, pauses, say, told, becomes: (state: string) => (status = state) };
}

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a checkpoint as it should be undoes nothing', () => {
  const { pauses, say, told } = fake();
  pauses.enter(100);
  say('STOP', 101);
  say('RESUME', 102);
  // After the resumption the guest is its operator's again.
  say('STOP', 103);
  expect(pauses.undone()).toBeUndefined();
  expect(told).toEqual([]);
});

test('a stop that came after the question keeps QEMU out of the pause', () => {
  const { pauses, say } = fake();
  say('STOP', 99);
  expect(() => pauses.enter(100)).toThrow(expect.objectContaining({ code: 'MACHINE_NOT_RUNNING' }));
});

test.each<[string, (say: ReturnType<typeof fake>['say']) => void, string]>([
  ['a stop whose event came late', (say) => say('STOP', 99), 'paused'],
  ['a second stop', (say) => [101, 101.5].forEach((at) => say('STOP', at)), 'paused'],
  ['a power-off', (say) => say('SHUTDOWN', 101, { guest: true }), 'shutdown'],
  ['a suspension to RAM', (say) => say('SUSPEND', 101), 'suspended'],
  ['a panic', (say) => say('GUEST_PANICKED', 101, { action: 'pause' }), 'guest-panicked'],
])('%s that the resumption undid is put back at once', (_, happens, state) => {
  const { pauses, say, told } = fake();
  pauses.enter(100);
  happens(say);
  say('RESUME', 110);
  expect(told).toEqual(['stop']);
  expect(pauses.undone()).toBe(state);
  // QEMU says "paused" of all of them then.
  expect(pauses.nameOf('paused')).toBe(state);
  say('RESUME', 120);
  expect(pauses.nameOf('paused')).toBe('paused');
});

test('whoever waits for the stop is told of the next one, and once', async () => {
  const { pauses, say } = fake();
  say('STOP', 99);
  let stopped = 0;
  void pauses.stops().then(() => stopped++);
  await turn();
  expect(stopped).toBe(0);
  for (const at of [101, 103]) say('STOP', at);
  await turn();
  expect(stopped).toBe(1);
});

test.each<[string, readonly string[], string, boolean]>([
  ['for QEMU alone', ['STOP', 'RESUME'], 'running', true],
  ['for its operator, too, right after', ['STOP', 'RESUME', 'STOP'], 'paused', true],
  [
    'for its operator, who let it run again before QEMU stopped it',
    ['STOP', 'RESUME', 'STOP'],
    'colo',
    false,
  ],
  ['for both so, and runs again', ['STOP', 'RESUME', 'STOP', 'RESUME'], 'running', false],
  ['for both so, and once more', ['STOP', 'RESUME', 'STOP', 'RESUME', 'STOP'], 'paused', false],
  ['before anybody looked', ['RESUME'], 'running', true],
])('a guest that stood %s (%j, then %s) did without a break: %s', async (_how, events, status, expected) => {
  const { pauses, say, becomes } = fake();
  pauses.enter(100);
  events.forEach((name, index) => say(name, 101 + index));
  becomes(status);
  expect(await pauses.unbroken(new AbortController().signal)).toBe(expected);
});

test('a panic that stops nothing is none of ours', () => {
  const { pauses, say, told } = fake();
  pauses.enter(100);
  say('STOP', 101);
  say('GUEST_PANICKED', 101, { action: 'run' });
  say('RESUME', 102);
  expect(pauses.undone()).toBeUndefined();
  expect(told).toEqual([]);
});

test('COLO that ends in the pause ends the wait for the resumption', async () => {
  const { pauses, say } = fake();
  const resumed = pauses.resumed(new AbortController().signal);
  say('STOP', 101);
  say('COLO_EXIT', 102, { mode: 'primary', reason: 'error' });
  await expect(resumed).rejects.toMatchObject({ code: 'CAPTURE_FAILED', retryable: true });
});

test('COLO that ended before the wait began ends it, too, but not that of another migration', async () => {
  const { pauses, say } = fake();
  say('COLO_EXIT', 99, { mode: 'primary', reason: 'error' });
  await expect(pauses.resumed(new AbortController().signal)).rejects.toMatchObject({
    code: 'CAPTURE_FAILED',
  });
  pauses.begin();
  const resumed = pauses.resumed(new AbortController().signal);
  say('RESUME', 102);
  await resumed;
});

test('COLO that we end ourselves is waited beyond', async () => {
  const { pauses, say } = fake();
  const resumed = pauses.resumed(new AbortController().signal, true);
  say('COLO_EXIT', 101, { mode: 'primary', reason: 'error' });
  say('RESUME', 102);
  await resumed;
});

test.each([
  [['setup', 'active', 'completed'], true],
  [['setup', 'active', 'colo', 'completed'], false],
])('of a migration that goes through %j the end without COLO is seen: %s', async (states, expected) => {
  const { qmp, say } = fake();
  let seen = false;
  void completed(qmp).seen.then(() => (seen = true));
  for (const status of states) say('MIGRATION', 100, { status });
  await Promise.resolve();
  expect(seen).toBe(expected);
});

test.each(['cancelled', 'failed'])(
  'a migration that is %s when all of it is read is a failed capture',
  async (status) => {
    const { qmp, say } = fake();
    const { failed } = completed(qmp);
    for (const each of ['setup', 'active', 'cancelling', status]) say('MIGRATION', 1, { status: each });
    await expect(failed).rejects.toMatchObject({ code: 'CAPTURE_FAILED', retryable: true });
  },
);

test('what ends COLO is no failure of the migration that began it', async () => {
  const { qmp, say } = fake();
  let told = false;
  completed(qmp).failed.catch(() => (told = true));
  for (const status of ['setup', 'active', 'colo', 'cancelled']) say('MIGRATION', 1, { status });
  await Promise.resolve();
  expect(told).toBe(false);
});

test('what is still to be heard of an earlier migration is not the end of the next', async () => {
  const { qmp, say } = fake();
  let over = false;
  const { seen, failed } = completed(qmp);
  void seen.then(() => (over = true));
  failed.catch(() => (over = true));
  for (const status of ['completed', 'cancelled', 'setup', 'active']) say('MIGRATION', 1, { status });
  await Promise.resolve();
  expect(over).toBe(false);
  say('MIGRATION', 2, { status: 'completed' });
  await seen;
});
