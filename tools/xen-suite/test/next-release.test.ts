import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gate } from '../../lab/src/gate.js';
import {
  createGuest,
  destroyGuest,
  guestWords,
  missingForRelease,
  XenHost,
} from '../../lab/src/xen/index.js';
import { dom0Command, messages, must } from './support/fitdoc.js';
import { provesItself, restoreByHand } from './support/proof.js';
import { GUEST, host, onXen, sharedFolder, withGuest } from './support/xen.js';

const RELEASE = '4.20';
const CHECKPOINTS = 4;
const next = gate('xen-4.20', missingForRelease(RELEASE));

onXen(next.title(`a host with Xen ${RELEASE}`), () => {
  describe.skipIf(next.skip)('beside the other', () => {
    let newer: XenHost;
    beforeAll(async () => {
      newer = await XenHost.start({ release: RELEASE });
    });
    afterAll(() => newer.stop());

    it.each(['pvh', 'hvm'] as const)(
      'captures a guest by the dirty log, and brings it back (%s)',
      async (type) => {
        await createGuest(newer, { name: type, type });
        const store = sharedFolder(type, newer);
        const words = ['--store', store.inDom0, '--init', '--every', '200ms', '--count', String(CHECKPOINTS)];
        const watch = dom0Command('watch', `xen:${type}`, ...words, '--json', '--set', 'path=direct');
        const taken = messages(await newer.must(watch, { timeoutMs: 600_000 }), 'checkpoint');
        const increments = Array<string>(CHECKPOINTS - 1).fill('increment');
        expect(taken.map((each) => each['kind'])).toEqual(['base', ...increments]);
        for (const each of taken.slice(1)) expect(each['dirty_pages']).toBeLessThan(10_000);
        expect(JSON.parse(await must('info', 'latest', '--store', store.here, '--json'))).toMatchObject({
          hypervisor: expect.stringContaining(`xen ${RELEASE}`) as string,
        });
        const name = `${type}-copy`;
        await restoreByHand('latest', store.here, name, { on: newer });
        expect(await provesItself(name, { on: newer })).toBeLessThan(guestWords(newer, type).at(-1)!.steps);
        await destroyGuest(newer, type);
      },
    );

    describe('that takes over from the older', () => {
      withGuest();

      it('runs a checkpoint of the older release', async () => {
        const store = sharedFolder('older');
        const save = dom0Command('save', `xen:${GUEST}`, '--store', store.inDom0, '--init');
        await host.must(save, { timeoutMs: 600_000 });
        const name = `${GUEST}-newer`;
        await restoreByHand('latest', store.here, name, { on: newer });
        expect(await provesItself(name, { on: newer })).toBeGreaterThan(0);
      });
    });
  });
});
