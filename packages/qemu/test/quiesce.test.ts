import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeviceState, Quiesce } from '@fitdoc/interface';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { pingAgent } from '../src/agent/agent.js';
import type { Frozen } from '../src/agent/frozen.js';
import { Quiescing } from '../src/agent/quiesce.js';
import type { Door } from '../src/door.js';
import { frozenState } from '../src/machine/frozen-state.js';
import type { QmpClient } from '../src/qmp/client.js';
import { thawOf } from '../src/restore/thaw.js';
import { FakeAgent, type Manners } from './support/fake-agent.js';

const agents: FakeAgent[] = [];
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
});

async function agentWith(manners: Manners = {}): Promise<FakeAgent> {
  const agent = await FakeAgent.start(manners);
  agents.push(agent);
  return agent;
}

const FAIL: Quiesce = { timeoutMs: 60_000, onFailure: 'fail' };
const never = new AbortController().signal;

/** A capture that notes whether the file systems were frozen meanwhile, and what the guard was told. */
async function capture(agent: FakeAgent | undefined, quiesce: Quiesce, work = async (): Promise<void> => {}) {
  const told: (Frozen | undefined)[] = [];
  let frozen: boolean | undefined;
  const run = async () => {
    frozen = agent?.frozen;
    await work();
    return { pages: 1 };
  };
  const watch = (found: Frozen | undefined): void => void told.push(found);
  const call = new Quiescing(agent?.path, watch).around(quiesce, never, run);
  const settled = await call.then(
    (result) => ({ result, error: undefined }),
    (error: unknown) => ({ result: undefined, error }),
  );
  return { ...settled, frozen, told };
}

test('file systems are frozen for the capture and thawed after it, the guard knowing meanwhile', async () => {
  const agent = await agentWith({ stale: '{"return": 17}\n{"retu' });
  const { result, frozen, told } = await capture(agent, FAIL);
  expect(frozen).toBe(true);
  expect(agent.frozen).toBe(false);
  const quiesced = { frozenMs: expect.any(Number) as number };
  // Whoever restores it has to know.
  expect(result).toEqual({ pages: 1, quiesced, frozen: true });
  expect(told).toEqual([{ agent: agent.path, withinMs: 61_000 }, undefined]);
  expect(await pingAgent(agent.path, 10_000)).toBe(true);
});

test('they are thawed when the capture fails', async () => {
  const agent = await agentWith();
  const { error, told } = await capture(agent, FAIL, () => Promise.reject(new Error('the store is full')));
  expect(error).toMatchObject({ message: 'the store is full' });
  expect(agent.frozen).toBe(false);
  expect(told.at(-1)).toBeUndefined();
});

test('they are thawed at the time-out, however long the capture takes, which then is none', async () => {
  const agent = await agentWith();
  const untilThawed = () => vi.waitFor(() => expect(agent.frozen).toBe(false), { timeout: 60_000 });
  const { error, frozen } = await capture(agent, { timeoutMs: 3000, onFailure: 'fail' }, untilThawed);
  expect(frozen).toBe(true);
  expect(error).toMatchObject({ code: 'CAPTURE_FAILED', retryable: true });
});

test.each<[string, Manners, string]>([
  ['does not answer', { silentOn: ['guest-sync-delimited'] }, 'CAPABILITY_MISSING'],
  ['may not freeze', { refuses: ['guest-fsfreeze-freeze'] }, 'CAPABILITY_MISSING'],
  ['has them frozen for somebody else', { frozen: true }, 'MACHINE_BUSY'],
])('an agent that %s: no capture, or a note', async (_, manners, code) => {
  const agent = await agentWith(manners);
  const before = agent.frozen;
  const failed = await capture(agent, { timeoutMs: 1500, onFailure: 'fail' });
  expect(failed.error).toMatchObject({ code });
  expect(failed.frozen).toBeUndefined();
  const noted = await capture(agent, { timeoutMs: 1500, onFailure: 'note' });
  expect(noted.result).toMatchObject({ pages: 1, quiesced: { failure: expect.any(String) as string } });
  // What somebody else froze is theirs to thaw.
  expect(agent.frozen).toBe(before);
});

test('a thaw that fails is ours to do before the next capture, and the guard knows of it until then', async () => {
  const agent = await agentWith({ refuses: ['guest-fsfreeze-thaw'] });
  const told: (Frozen | undefined)[] = [];
  const quiescing = new Quiescing(agent.path, (frozen) => void told.push(frozen));
  const capture = () => quiescing.around(FAIL, never, async () => ({ frozen: agent.frozen }));
  await expect(capture()).rejects.toMatchObject({ code: 'CAPTURE_FAILED' });
  expect(agent.frozen).toBe(true);
  expect(told.at(-1)).toBeDefined();
  // Not somebody else's doing, as which the next capture would never do anything about it.
  await expect(capture()).rejects.toMatchObject({ code: 'CAPABILITY_MISSING', retryable: true });
  agent.manners = {};
  expect(await capture()).toMatchObject({ frozen: true });
  expect(agent.frozen).toBe(false);
  expect(told.at(-1)).toBeUndefined();
});

test('a thaw that met the pause, in which no agent answers, is tried again after it', async () => {
  const agent = await agentWith({ refuses: ['guest-fsfreeze-thaw'] });
  const untilTried = () =>
    vi.waitFor(() => expect(agent.count('guest-fsfreeze-thaw')).toBe(3), { timeout: 60_000 });
  const { result } = await capture(agent, { timeoutMs: 3000, onFailure: 'note' }, async () => {
    await untilTried();
    agent.manners = {};
  });
  expect(agent.frozen).toBe(false);
  expect(result).toMatchObject({
    quiesced: { failure: expect.stringContaining('at the time-out') as string },
  });
});

test('one that may neither freeze nor thaw owes nothing', async () => {
  const agent = await agentWith({ refuses: ['guest-fsfreeze-freeze', 'guest-fsfreeze-thaw'] });
  const { error, told } = await capture(agent, FAIL);
  expect(error).toMatchObject({ code: 'CAPABILITY_MISSING', details: { command: 'guest-fsfreeze-freeze' } });
  expect(told.at(-1)).toBeUndefined();
});

test('an agent that freezes and does not say so is asked to thaw', async () => {
  const agent = await agentWith({ silentOn: ['guest-fsfreeze-freeze'] });
  const { error } = await capture(agent, { timeoutMs: 1000, onFailure: 'fail' });
  expect(error).toMatchObject({ code: 'CAPABILITY_MISSING' });
  expect(agent.calls.at(-1)).toBe('guest-fsfreeze-thaw');
});

test('a guest without a channel is told of', async () => {
  const { error } = await capture(undefined, FAIL);
  expect(error).toMatchObject({ code: 'CAPABILITY_MISSING' });
});

describe('a restored guest whose file systems were frozen', () => {
  const frozen: DeviceState[] = [...frozenState({ frozen: true })];
  const channelTo = (path: string) => {
    const answers: Record<string, unknown> = {
      'qom-list': [{ name: 'port', type: 'child<virtserialport>' }],
      'query-chardev': [{ label: 'qga0', filename: `disconnected:unix:${path},server=on` }],
    };
    const execute = async (command: string, { property }: { property?: string } = {}) =>
      property === undefined
        ? answers[command]
        : { name: 'org.qemu.guest_agent.0', chardev: 'qga0' }[property];
    return { execute } as unknown as QmpClient;
  };
  const open: Door = { scheme: 'test', guard: '', connect: () => Promise.reject(new Error()) };

  test('is thawed once it runs', async () => {
    const agent = await agentWith({ frozen: true });
    const thaw = await thawOf(channelTo(agent.path), open, frozen);
    expect(agent.frozen).toBe(true);
    thaw.begin('running');
    expect(await thaw.notes()).toEqual([expect.stringContaining('were thawed')]);
    expect(agent.frozen).toBe(false);
  });

  test.each<[string, 'running' | 'paused', Door]>([
    ['that its operator is to let run', 'paused', open],
    ['whose agent somebody else speaks to', 'running', { ...open, agentTaken: true }],
  ])('%s: its operator is told', async (_, state, door) => {
    const agent = await agentWith({ frozen: true });
    const thaw = await thawOf(channelTo(agent.path), door, frozen);
    thaw.begin(state);
    expect(await thaw.notes()).toEqual([expect.stringContaining('guest-fsfreeze-thaw')]);
  });

  test('and one whose were not is left alone', async () => {
    const agent = await agentWith({ frozen: true });
    const thaw = await thawOf(channelTo(agent.path), open, []);
    thaw.begin('running');
    expect(await thaw.notes()).toEqual([]);
    expect(agent.calls).toEqual([]);
  });
});

/** Runs a guard that is told these messages, until the file systems are thawed. */
async function guarded(agent: FakeAgent, messages: readonly object[], { dies = false } = {}): Promise<void> {
  const guard = spawn(process.execPath, [fileURLToPath(new URL('../dist/guard.js', import.meta.url))], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = new Promise((resolve) => guard.once('exit', resolve));
  const settings = { capabilities: [], parameters: {} };
  const machine = { location: '/not/there.qmp', kept: { record: { version: 1, owner: 'test', settings } } };
  for (const message of messages) guard.stdin.write(`${JSON.stringify({ ...machine, ...message })}\n`);
  if (dies) guard.stdin.end();
  await vi.waitFor(() => expect(agent.frozen).toBe(false), { timeout: 60_000 });
  guard.stdin.end();
  await Promise.race([ended, sleep(60_000)]);
  guard.kill('SIGKILL');
}

const LONG_MS = 600_000;

test('the guard thaws when we die', async () => {
  const agent = await agentWith({ frozen: true });
  await guarded(agent, [{ type: 'guard', frozen: { agent: agent.path, withinMs: LONG_MS } }], { dies: true });
});

test('the guard thaws when we stand still, and goes on trying', async () => {
  const agent = await agentWith({ frozen: true, refuses: ['guest-fsfreeze-thaw'] });
  const thawed = guarded(agent, [{ type: 'guard', frozen: { agent: agent.path, withinMs: 100 } }]);
  // As many as are made at once, and one more.
  await vi.waitFor(() => expect(agent.count('guest-fsfreeze-thaw')).toBeGreaterThan(3), { timeout: 60_000 });
  agent.manners = {};
  await thawed;
});

test('the guard thaws what an attachment that ends could not', async () => {
  const agent = await agentWith({ frozen: true });
  await guarded(agent, [
    { type: 'guard', frozen: { agent: agent.path, withinMs: LONG_MS } },
    { type: 'end' },
  ]);
});
