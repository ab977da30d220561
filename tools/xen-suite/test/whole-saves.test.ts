import { afterAll, beforeAll, expect, it } from 'vitest';
import { createGuest, destroyGuest, guestWords, waitForSweeps } from '../../lab/src/xen/index.js';
import { fitdoc, messages } from './support/fitdoc.js';
import { provesItself, restoreByHand } from './support/proof.js';
import { host, onXen, overSsh, sharedFolder } from './support/xen.js';

const CLASSIC = 'classic';

onXen('a PV guest on a Xen without shadow paging', () => {
  const store = sharedFolder('classic');
  const { location, settings } = overSsh(CLASSIC);
  beforeAll(() => createGuest(host, { name: CLASSIC, type: 'pv' }));
  afterAll(() => destroyGuest(host, CLASSIC));

  it('is refused increments before any work', async () => {
    const wish = await fitdoc(
      'save',
      location,
      ...['--store', store.here, '--init', ...settings, '--set', 'path=remus'],
    );
    expect(wish.code).toBe(1);
    expect(wish.err).toContain('without shadow paging');
  });

  it('is saved whole, stored as an increment, and restored', async () => {
    const watch = ['watch', location, '--store', store.here, '--count', '2', '--json', ...settings];
    const { code, out, err } = await fitdoc(...watch);
    expect(code, err).toBe(0);
    // Said before any work: ahead of the first checkpoint.
    expect(out.indexOf('without shadow paging')).toBeLessThan(out.indexOf('"checkpoint"'));
    expect(out).toContain('without shadow paging');
    const [base, second] = messages(out, 'checkpoint');
    expect(base).toMatchObject({ kind: 'base' });
    expect(second).toMatchObject({ kind: 'increment' });
    expect(Number(second!['stored_bytes'])).toBeLessThan(Number(base!['stored_bytes']) / 5);
    await waitForSweeps(host, CLASSIC, 1);
    const name = `${CLASSIC}-copy`;
    await restoreByHand('latest', store.here, name);
    const steps = await provesItself(name);
    expect(steps).toBeLessThan(guestWords(host, CLASSIC).at(-1)!.steps);
  });
});
