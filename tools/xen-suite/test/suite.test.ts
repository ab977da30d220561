import { afterAll, expect, it } from 'vitest';
import { destroyGuest } from '../../lab/src/xen/index.js';
import { inDom0 } from './support/scenarios.js';
import { GUEST, host, onXen, withGuest } from './support/xen.js';

interface Result {
  readonly name: string;
  readonly passed: boolean;
  readonly ms: number;
}

onXen('the hypervisor port', () => {
  withGuest();
  // The last test of the suite crashes it.
  afterAll(() => destroyGuest(host, GUEST));

  it('passes its compliance suite in dom0', async () => {
    const { code, out, err } = await inDom0('compliance.mjs', { domain: GUEST, config: {} });
    expect(code, err).toBe(0);
    const results = JSON.parse(out) as Result[];
    expect(results.filter((each) => !each.passed)).toEqual([]);
    expect(results.length).toBeGreaterThan(20);
    for (const { name, ms } of results) console.log(`${String(Math.round(ms)).padStart(6)} ms  ${name}`);
  });
});
