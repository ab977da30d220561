import { cpSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createGuest,
  destroyGuest,
  guestWord,
  missingForXen,
  shipNode,
  shipPackages,
  waitForSweeps,
  XenHost,
} from '../../../tools/lab/src/xen/index.js';

const repository = resolve(import.meta.dirname, '../../..');
const required = (process.env.REQUIRE_SUITES ?? '')
  .split(',')
  .some((each) => each === 'xen' || each === 'all');
const reason =
  missingForXen() ??
  (required ? undefined : 'it takes minutes; REQUIRE_SUITES=xen runs it and makes it count');
if (reason !== undefined) console.log(`skipped: captures and restores on a real Xen (${reason})`);
if (required && reason !== undefined) throw new Error(`The xen suite is required: ${reason}`);

// The commands of the adapter run in dom0 itself; this one stands in for the ssh client.
const FAKE_SSH = `#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift 2
exec sh -c "$*"
`;

interface Capture {
  kind: string;
  pages: number;
  steps: number;
  pauseMs: number;
  tookMs: number;
}

interface Restored {
  index: number;
  state: string;
  first: number;
  last: number;
  bad: number;
  tookMs: number;
}

let host: XenHost;

/** Runs a scenario with the built package, on the Node.js in dom0. */
async function scenario(name: string, argument: object): Promise<Record<string, unknown>> {
  const words = `'${JSON.stringify(argument)}'`;
  const out = await host.must(`cd /host/app/test && /run/node scenarios.mjs ${name} ${words}`, {
    timeoutMs: 900_000,
  });
  return JSON.parse(out) as Record<string, unknown>;
}

async function stalled(signal: 'SIGSTOP' | 'SIGKILL', config: object) {
  await host.run('rm -f /run/stalled');
  const words = `'${JSON.stringify({ domain: 'proof', signal, config: { pauseLimitSeconds: 3, ...config } })}'`;
  const job = host.run(`cd /host/app/test && /run/node scenarios.mjs stall ${words}`, { timeoutMs: 600_000 });
  for (;;) {
    const { out } = await host.run('cat /run/stalled 2>/dev/null');
    if (out !== '') return { job, pid: Number(out.split(' ')[0]), list: out };
    const ended = await Promise.race([job, sleep(300)]);
    if (ended) throw new Error(`The process ended before it stalled: ${ended.err}`);
  }
}

describe.skipIf(reason !== undefined)('on a real Xen', { timeout: 1_200_000 }, () => {
  beforeAll(async () => {
    const running = process.env.FITDOC_XEN_HOST;
    host = running === undefined ? await XenHost.start() : XenHost.attach(running);
    shipPackages(host, repository, ['@fitdoc/hypervisor-xen', '@fitdoc/compliance']);
    cpSync(join(import.meta.dirname, 'dom0'), join(host.shared, 'app/test'), { recursive: true });
    await host.must(`cat >/run/ssh <<'END'\n${FAKE_SSH}END\nchmod 755 /run/ssh
      mkdir -p /run/full; mountpoint -q /run/full || mount -t tmpfs -o size=256k full /run/full`);
    await shipNode(host);
    await destroyGuest(host, 'proof');
    await createGuest(host, { name: 'proof', type: 'pvh' });
  }, 900_000);

  afterAll(async () => {
    await host?.stop();
  });

  it('twenty checkpoints by the dirty log, and restores of five that prove their memory', async () => {
    const restore = [0, 4, 9, 14, 19];
    const result = await scenario('checkpoints', {
      domain: 'proof',
      config: {},
      count: 20,
      everyMs: 100,
      restore,
    });
    const captures = result.captures as Capture[];
    const restored = result.restored as Restored[];
    expect(result.supports).toMatchObject({ increments: true, onDemand: true });
    expect(captures.map((each) => each.kind)).toEqual(['full', ...Array<string>(19).fill('increment')]);
    expect(captures[0]!.pages).toBeGreaterThan(20_000);
    for (const each of captures.slice(1)) expect(each.pages).toBeLessThan(5_000);
    expect(restored.map((each) => each.index)).toEqual(restore);
    restored.forEach((each, position) => {
      expect(each).toMatchObject({ state: 'running', bad: 0 });
      expect(each.last).toBeGreaterThan(each.first);
      // What a restored guest says first lies behind its own checkpoint and before what the next one says.
      expect(each.first).toBeGreaterThanOrEqual(captures[each.index]!.steps);
      const later = restored[position + 1];
      if (later) expect(each.first).toBeLessThan(later.last);
    });
    expect(result.original).toMatchObject({ bad: 0 });
    console.log(`direct: pauses ${captures.map((each) => Math.round(each.pauseMs)).join(' ')} ms`);
    console.log(`direct: restores ${restored.map((each) => each.tookMs).join(' ')} ms`);
  });

  it('checkpoints by Remus over a remote shell, and a restore', async () => {
    const argument = { domain: 'proof', config: {}, count: 4, restore: [3], ssh: '/run/ssh' };
    const result = await scenario('checkpoints', argument);
    const captures = result.captures as Capture[];
    expect(result.info).toMatchObject({ scheme: 'xen+ssh', name: 'proof' });
    expect(captures.map((each) => each.kind)).toEqual(['full', 'increment', 'increment', 'increment']);
    for (const each of captures.slice(1)) expect(each.pages).toBeLessThan(5_000);
    expect((result.restored as Restored[])[0]).toMatchObject({ state: 'running', bad: 0 });
    expect(result.original).toMatchObject({ bad: 0 });
    console.log(`remus: pauses ${captures.map((each) => Math.round(each.pauseMs)).join(' ')} ms`);
  });

  it.each(['direct'])('a full disk and an abort lose no page (%s)', async (path) => {
    const result = await scenario('failures', { domain: 'proof', config: { path } });
    expect(result.refused).toBe('ENOSPC');
    expect(result.unsettled).toContain('MACHINE_BUSY');
    expect(result.aborted).toContain('ABORTED');
    expect(result.restored).toMatchObject({ bad: 0 });
    expect(result.original).toMatchObject({ bad: 0 });
  });

  it.each(['direct', 'remus'])(
    'a captor that stalls in the pause does not keep the guest (%s)',
    async (path) => {
      const { job, pid, list } = await stalled('SIGSTOP', { path });
      expect(list).toMatch(/proof .* ---ss- /);
      await waitForSweeps(host, 'proof', 2);
      await host.must(`kill -CONT ${pid}`);
      const { code, out, err } = await job;
      expect(err).toBe('');
      expect(code).toBe(0);
      const result = JSON.parse(out) as Record<string, unknown>;
      expect(result.result).toContain('CAPTURE_FAILED');
      expect(result.next).toMatchObject({ kind: path === 'direct' ? 'increment' : 'full' });
      expect(await waitForSweeps(host, 'proof', 1)).toMatchObject({ bad: 0 });
    },
  );

  it.each(['direct', 'remus'])('a captor killed in the pause does not keep the guest (%s)', async (path) => {
    const { job, list } = await stalled('SIGKILL', { path });
    expect(list).toMatch(/proof .* ---ss- /);
    expect((await job).code).not.toBe(0);
    expect(await waitForSweeps(host, 'proof', 2)).toMatchObject({ bad: 0 });
  });

  // Its last test ends the guest.
  it('passes the compliance suite of the hypervisor port', async () => {
    const argument = `'${JSON.stringify({ domain: 'proof', config: {} })}'`;
    const command = `cd /host/app/test && /run/node compliance.mjs ${argument}`;
    const results = JSON.parse(await host.must(command, { timeoutMs: 1_150_000 })) as { passed: boolean }[];
    expect(results.filter((each) => !each.passed)).toEqual([]);
    expect(results.length).toBeGreaterThan(20);
  });

  it('a domain that goes away is told', async () => {
    await destroyGuest(host, 'proof');
    await createGuest(host, { name: 'proof', type: 'pvh' });
    const result = await scenario('gone', { domain: 'proof', config: {} });
    expect(result.capture).toContain('MACHINE_GONE');
    expect(result.gone).toBe('MACHINE_GONE');
    expect(result.again).toContain('MACHINE_NOT_FOUND');
  });

  it('a PV guest is saved whole and restored, and increments are refused before any work', async () => {
    await destroyGuest(host, 'classic');
    await createGuest(host, { name: 'classic', type: 'pv' });
    const look = await scenario('look', { domain: 'classic', config: { path: 'remus' } });
    expect(look.refused).toContain('CAPABILITY_MISSING');
    expect(look.supports).toMatchObject({ increments: false });
    expect(JSON.stringify(look.supports)).toContain('without shadow paging');
    const result = await scenario('checkpoints', { domain: 'classic', config: {}, count: 2, restore: [1] });
    expect((result.captures as Capture[]).map((each) => each.kind)).toEqual(['full', 'full']);
    expect((result.restored as Restored[])[0]).toMatchObject({ state: 'running', bad: 0 });
    expect(await guestWord(host, 'classic')).toMatchObject({ bad: 0 });
    await destroyGuest(host, 'classic');
  });
});
