import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mockMachine } from '@fitdoc/hypervisor-mock';
import { afterEach, expect, it } from 'vitest';
import type { PauseHook, ProtectOptions } from '@fitdoc/engine';
import { setUp, type Setup } from './support.js';

const QUERY = 'memory=2M&workload=kv&seed=5';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function place(query = QUERY): Promise<Setup> {
  const made = await setUp(query);
  closing.push(made.close);
  return made;
}

const hook = (text: string, more: Partial<PauseHook> = {}): ProtectOptions => ({
  pauseHook: { command: ['sh', '-c', text], timeoutMs: 20_000, onFailure: 'fail', ...more },
});

const protect = (on: Setup, options: ProtectOptions) => on.engine.protect(on.machine, on.repository, options);

/** A name that nothing has yet, for what a hook tells of itself. */
function file(): string {
  const name = path.join(tmpdir(), `fitdoc-hook-${process.pid}-${Math.random().toString(36).slice(2)}`);
  closing.push(() => rm(name, { force: true }));
  return name;
}

it('runs once in each pause, and the checkpoint keeps what it printed', async () => {
  const on = await place();
  const text =
    'read nothing; echo "snap-$FITDOC_SEQUENCE of $FITDOC_MACHINE_ID $FITDOC_HOOK $MORE"; printf "\\033[1mok"';
  const protection = await protect(on, hook(text, { env: { MORE: 'more' } }));
  for (const sequence of [0, 1]) {
    const { entry, cost, notes } = await protection.checkpoint();
    const output = `snap-${sequence} of ${on.machine.info.id} pause more\n[1mok`;
    expect(cost.pauseHook).toEqual({ ms: expect.any(Number) as number, output });
    expect(notes).toEqual([]);
    expect((await on.repository.resolve(entry.id)).metrics).toMatchObject({ pauseHook: output });
    expect(cost.pauseMs).toBeGreaterThanOrEqual(cost.pauseHook?.ms ?? Infinity);
  }
});

it('that fails, fails the checkpoint: the guest runs, and the next one has all of it', async () => {
  const on = await place();
  const gate = file();
  const text = `if [ -e ${gate} ]; then echo no room >&2; exit 3; fi; : >${gate}`;
  const protection = await protect(on, hook(text));
  await protection.checkpoint();
  const failing = protection.checkpoint();
  await expect(failing).rejects.toMatchObject({
    code: 'CAPTURE_FAILED',
    retryable: true,
    message: 'The pause hook ended with exit code 3 (no room).',
  });
  expect((await mockMachine(on.name)).paused).toBe(false);
  expect(await on.repository.list()).toHaveLength(1);
  await rm(gate);
  const { entry, cost } = await protection.checkpoint();
  // What came of the capture that failed is not asked for again.
  expect(entry.metrics['captureKind']).toBe('increment');
  expect(cost.pauseHook?.failure).toBeUndefined();
  expect(await on.restored(entry.id)).toBe(await on.hash());
});

it('that fails may be a note instead', async () => {
  const on = await place();
  const protection = await protect(on, hook('echo half; exit 1', { onFailure: 'note' }));
  const { entry, notes } = await protection.checkpoint();
  expect(notes).toEqual(['the pause hook ended with exit code 1']);
  expect(entry.metrics).toMatchObject({ pauseHook: 'half', pauseHookFailure: 'ended with exit code 1' });
  expect(await on.restored(entry.id)).toBe(await on.hash());
});

it('that takes too long holds the guest no longer, and is ended with all that it started', async () => {
  const on = await place();
  const pids = file();
  const text = `trap '' TERM; sleep 1000 & echo $$ $! >${pids}; wait; sleep 1000`;
  const protection = await protect(on, hook(text, { timeoutMs: 2000 }));
  await expect(protection.checkpoint()).rejects.toThrow('The pause hook took longer than 2000 ms.');
  expect((await mockMachine(on.name)).paused).toBe(false);
  for (const pid of (await readFile(pids, 'utf8')).trim().split(' ')) {
    // Gone, or dead and waiting for its parent to look.
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX');
    expect(status).toMatch(/^State:\t[XZ]/m);
  }
});

it('lets the guest go on when the checkpoint is cancelled', async () => {
  const on = await place();
  const protection = await protect(on, hook('sleep 1000'));
  const cancel = new AbortController();
  const taking = protection.checkpoint({ signal: cancel.signal });
  taking.catch(() => undefined);
  const guest = await mockMachine(on.name);
  while (!guest.paused) await new Promise((resolve) => setTimeout(resolve, 5));
  cancel.abort();
  await expect(taking).rejects.toMatchObject({ code: 'ABORTED' });
  expect((await mockMachine(on.name)).paused).toBe(false);
});

it('is ended where the capture fails beside it', async () => {
  const on = await place(`${QUERY}&fail-device=1`);
  const protection = await protect(on, hook('exec sleep 1000'));
  await expect(protection.checkpoint()).rejects.toThrow('device state');
  expect((await mockMachine(on.name)).paused).toBe(false);
});

it('is refused before the guest is touched where there is no such command, or nowhere to run it', async () => {
  const on = await place();
  const missing = await protect(on, { pauseHook: { ...hook('').pauseHook!, command: ['/not/there'] } });
  await expect(missing.checkpoint()).rejects.toThrow('The pause hook ended with exit code 127.');
  await missing.end();
  await expect(protect(on, { pauseHook: { ...hook('').pauseHook!, command: [] } })).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
  });
  const machine = new Proxy(on.machine, {
    get: (target, key) =>
      key === 'supports'
        ? { ...target.supports, pauseTask: false }
        : (Reflect.get(target, key, target) as unknown),
  });
  const refused = on.engine.protect(machine, on.repository, hook(''));
  await expect(refused).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
});
