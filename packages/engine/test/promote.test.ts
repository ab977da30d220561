import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { followMachine, promote, type Promoted } from '@fitdoc/engine';
import { hypervisor, machineHash } from '@fitdoc/hypervisor-mock';
import { FitdocError, type Hypervisor, type Launched, type LaunchOptions } from '@fitdoc/interface';
import { withFaults, type Fault } from '@fitdoc/store-decorators';
import { MemoryStore } from '@fitdoc/store-memory';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { machineName, setUp, type Setup } from './support.js';

let setup: Setup;
/** What becomes of calls for takeovers. */
let fate: (operation: string) => Fault | undefined;
let directory: string;
/** What was started, with what became of it. */
let machines: { readonly location: string; readonly options: LaunchOptions; over: 'ended' | undefined }[];

beforeEach(async () => {
  fate = () => undefined;
  const store = withFaults(new MemoryStore(), ({ operation, key }) =>
    key.startsWith('locks/takeovers/') ? fate(operation) : undefined,
  );
  setup = await setUp('memory=4M&workload=kv&seed=4', store);
  directory = await mkdtemp(path.join(tmpdir(), 'fitdoc-promote-'));
  machines = [];
});
afterEach(async () => {
  await setup.close();
  await rm(directory, { recursive: true, force: true });
});

/** Mock machines that can be started: each waits under a name of its own. */
function starting(fails?: FitdocError): Hypervisor {
  const launch = async (_info: unknown, options: LaunchOptions): Promise<Launched> => {
    const machine = { location: machineName(), options, over: undefined as 'ended' | undefined };
    machines.push(machine);
    const { location } = machine;
    return {
      ...{ location, pid: process.pid, command: { words: [] }, notes: [], consoles: [] },
      gone: new AbortController().signal,
      release: async () => undefined,
      end: async () => void (machine.over = 'ended'),
      look: () => Promise.reject(new Error('not here')),
      screenshot: async () => false,
      setLinks: async () => [],
      run: async () => undefined,
      pingAgent: async () => false,
      callPort: async () => ({ taken: false, said: '' }),
    };
  };
  return {
    ...hypervisor,
    ...{ scheme: 'mock', specificationVersion: 'hypervisor-v1', supports: hypervisor.supports },
    launcher: { launch },
    attach: (...args) => hypervisor.attach(...args),
    restore: async (location, source, { memoryFile: _, ...options } = {}) => {
      if (fails) throw fails;
      return hypervisor.restore(location, source, options);
    },
  };
}

function start(how: Hypervisor, dir = directory): Promise<Promoted> {
  const { engine, repository } = setup;
  return promote(engine, { repository, location: 'memory:', hypervisor: how, directory: dir });
}

async function follow(dir = directory): Promise<void> {
  const { engine, repository, machine } = setup;
  const request = { repository, location: 'memory:', machine: machine.info.id, directory: dir };
  for await (const _ of followMachine(engine, request, { everyMs: 1, once: true }));
}

it('starts the newest state, though it was not followed yet; what fails leaves nothing, and is tried again', async () => {
  const { engine, repository, machine } = setup;
  const protection = await engine.protect(machine, repository);
  await protection.checkpoint();
  await follow();
  const { entry } = await protection.checkpoint();
  const hash = await setup.hash();
  await protection.end();
  await expect(start(starting(new FitdocError('RESTORE_FAILED', 'no')))).rejects.toMatchObject({
    code: 'RESTORE_FAILED',
  });
  expect(machines).toMatchObject([{ over: 'ended' }]);
  expect(await repository.takeovers.latest(machine.info.id)).toBeUndefined();
  const promoted = await start(starting());
  expect(promoted.point.id).toBe(entry.id);
  expect(await machineHash(promoted.launched.location)).toBe(hash);
  const { options } = machines[1]!;
  expect(options).toMatchObject({
    memoryFile: path.join(directory, 'memory.ram'),
    identity: { origin: { machine: machine.info.id, state: promoted.point.state } },
  });
  expect(options.identity).not.toHaveProperty('uuid');
  // Its memory is the directory from now on, and the chain is its own.
  await expect(follow()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  await expect(start(starting())).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  await expect(engine.protect(machine, repository)).rejects.toMatchObject({ code: 'MACHINE_CONFLICT' });
});

it('goes on where one was cut off before the guest ran; of two standbys the second is refused until it is said that the first is gone', async () => {
  const { engine, repository, machine } = setup;
  const { id } = machine.info;
  const protection = await engine.protect(machine, repository);
  await protection.checkpoint();
  const hash = await setup.hash();
  await protection.end();
  const second = path.join(directory, 'second');
  await follow();
  await follow(second);
  const file = path.join(directory, 'standby.json');
  const journal = JSON.parse(await readFile(file, 'utf8')) as { at: { state: string } };
  await writeFile(file, JSON.stringify({ ...journal, promotion: { token: 'cut off', atMs: 1 } }));
  await repository.takeovers.take(id, {
    state: journal.at.state,
    token: 'cut off',
    place: 'x',
    after: undefined,
  });
  const promoted = await start(starting());
  expect(promoted.takeover.generation).toBe(1);
  await expect(start(starting(), second)).rejects.toMatchObject({ code: 'MACHINE_CONFLICT' });
  const request = { repository, location: 'memory:', hypervisor: starting(), directory: second, again: true };
  const again = await promote(engine, request);
  expect(again.takeover.generation).toBe(2);
  expect(await machineHash(again.launched.location)).toBe(hash);
});

it('a store in which two could be promoted is told of before a standby is made', async () => {
  class WeakStore extends MemoryStore {
    override readonly supports = { conditionalPut: false, durable: false };
  }
  await setup.close();
  setup = await setUp('memory=4M&workload=kv&seed=4', new WeakStore());
  await expect(follow()).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  expect(await readdir(directory)).toEqual([]);
});

it('who follows in the same process gives way to who promotes, and is not in its way', async () => {
  const { engine, repository, machine } = setup;
  const protection = await engine.protect(machine, repository);
  const { entry } = await protection.checkpoint();
  await protection.end();
  await follow();
  const request = { repository, location: 'memory:', machine: machine.info.id, directory };
  const following = followMachine(engine, request, { everyMs: 3_600_000 });
  expect(await following.next()).toMatchObject({ value: { type: 'current', point: { id: entry.id } } });
  const ended = following.next();
  expect((await start(starting())).point.id).toBe(entry.id);
  expect(await ended).toMatchObject({ done: true });
});

it('is started again, when that is asked for, only if its process cannot be there any more', async () => {
  const { engine, repository, machine } = setup;
  const protection = await engine.protect(machine, repository);
  await protection.checkpoint();
  await protection.end();
  await follow();
  await start(starting());
  const request = { repository, location: 'memory:', hypervisor: starting(), directory, again: true };
  await expect(promote(engine, request)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  // The number is another process's since the host was started anew.
  const file = path.join(directory, 'standby.json');
  const text = await readFile(file, 'utf8');
  const { promotion } = JSON.parse(text) as { promotion: { boot: string } };
  await writeFile(file, text.replaceAll(promotion.boot, 'a former boot'));
  const again = await promote(engine, request);
  expect(again.takeover.generation).toBe(2);
});

describe('a takeover of which no answer came', () => {
  const error = new FitdocError('STORE_UNAVAILABLE', 'no route');

  async function cutOff(): Promise<void> {
    const protection = await setup.engine.protect(setup.machine, setup.repository);
    await protection.checkpoint();
    await protection.end();
    await follow();
    fate = (operation) => {
      if (operation !== 'put') return undefined;
      fate = afterwards;
      return { error, when: 'after' };
    };
  }
  let afterwards: typeof fate;

  it('is withdrawn: the machine may still be protected, and the standby promoted', async () => {
    afterwards = () => undefined;
    const { engine, repository, machine } = setup;
    await cutOff();
    await expect(start(starting())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(machines).toMatchObject([{ over: 'ended' }]);
    expect(await repository.takeovers.latest(machine.info.id)).toBeUndefined();
    await (await engine.protect(machine, repository)).end();
    expect((await start(starting())).takeover.generation).toBe(1);
  });

  it('that cannot be withdrawn now is when the directory is worked in next', async () => {
    afterwards = () => ({ error });
    const { engine, repository, machine } = setup;
    await cutOff();
    await expect(start(starting())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    fate = () => undefined;
    expect(await repository.takeovers.latest(machine.info.id)).toMatchObject({ generation: 1 });
    await follow();
    expect(await repository.takeovers.latest(machine.info.id)).toBeUndefined();
    await (await engine.protect(machine, repository)).end();
  });
});

it('a guest that runs though its restore failed is told of, and not started a second time', async () => {
  const { engine, repository, machine } = setup;
  const protection = await engine.protect(machine, repository);
  await protection.checkpoint();
  await protection.end();
  await follow();
  const failure = new FitdocError('RESTORE_FAILED', 'it runs', { details: { running: true } });
  await expect(start(starting(failure))).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
  expect(machines).toMatchObject([{ over: undefined }]);
  const refused: unknown = await start(starting()).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'ARGUMENT_INVALID', details: { pid: process.pid } });
  expect((refused as Error).message).toContain(machines[0]!.location);
  expect(machines).toHaveLength(1);
});
