import { expect, it } from 'vitest';
import { waitForSweeps } from '../../lab/src/xen/index.js';
import { inDom0 } from './support/scenarios.js';
import { GUEST, host, onXen, withGuest } from './support/xen.js';

interface Stalled {
  readonly pid: number;
  /** What `xl list` said of the domain at that moment. */
  readonly list: string;
}

/** Waits until the capturing process has stopped itself in the middle of a pause. */
async function stalled(): Promise<Stalled> {
  const script = 'until [ -e /run/stalled ]; do sleep 0.2; done; cat /run/stalled; rm /run/stalled';
  const out = await host.must(script, { timeoutMs: 600_000 });
  return { pid: Number(out.split(' ')[0]), list: out };
}

onXen('captors that fail in the pause', () => {
  withGuest();
  it.each(['direct', 'remus'])('stopped, and then killed, do not keep the guest (%s)', async (path) => {
    const config = { path, pauseLimitSeconds: 3 };
    const job = inDom0('stall.mjs', { domain: GUEST, config, signals: ['SIGSTOP', 'SIGKILL'] });
    const first = await stalled();
    expect(first.list).toContain('---ss-');
    await waitForSweeps(host, GUEST, 2);
    await host.must(`kill -CONT ${first.pid}`);
    const second = await stalled();
    expect(second.list).toContain('---ss-');
    const { code, out } = await job;
    expect(code).not.toBe(0);
    expect(await waitForSweeps(host, GUEST, 2)).toMatchObject({ bad: 0 });
    const results = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(results).toMatchObject([
      { failed: expect.stringContaining('CAPTURE_FAILED') as string },
      { kind: path === 'direct' ? 'increment' : 'full' },
    ]);
  });
});
