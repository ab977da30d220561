import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { waitForSweeps } from '../../../lab/src/xen/index.js';
import { inDom0 } from './scenarios.js';
import { host } from './xen.js';

/**
 * Waits until the capturing process has stopped itself in the middle of a pause, which it does only when Xen says that
 * the guest is suspended; gives its number, and throws when it ended instead.
 */
async function stalled(job: Promise<{ readonly err: string }>, mark: string): Promise<number> {
  const script = `until [ -e ${mark} ]; do sleep 0.2; done; cat ${mark}; rm ${mark}`;
  const out = await Promise.race([
    host.must(script, { timeoutMs: 600_000 }),
    job.then(async ({ err }) => {
      // One that was killed in a pause has told of it before.
      await sleep(5000);
      throw new Error(`The capturing process ended before a pause:\n${err}`);
    }),
  ]);
  return Number(out);
}

/** A captor is stopped in the pause of a guest, and killed in the next: the guest goes on, whole, both times. */
export async function killedAndStalled(domain: string, path: string): Promise<void> {
  const config = { path, pauseLimitSeconds: 6 };
  // Of this call alone: one that failed leaves somebody who waits for its own.
  const mark = `/run/stalled-${domain}-${path}`;
  const job = inDom0('stall.mjs', { domain, config, mark, signals: ['SIGSTOP', 'SIGKILL'] });
  const first = await stalled(job, mark);
  await waitForSweeps(host, domain, 2);
  await host.must(`kill -CONT ${first}`);
  await stalled(job, mark);
  const { code, out } = await job;
  expect(code).not.toBe(0);
  expect(await waitForSweeps(host, domain, 2)).toMatchObject({ bad: 0 });
  const results = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(results).toMatchObject([
    { failed: expect.stringContaining('CAPTURE_FAILED') as string },
    { kind: path === 'direct' ? 'increment' : 'full' },
  ]);
}
