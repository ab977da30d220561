import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGuest, destroyGuest, guestWords, waitForSweeps } from '../../lab/src/xen/index.js';
import { dom0Command, messages, must, type Message } from './support/fitdoc.js';
import { provesItself, restoreByHand, XL_MIGRATE_RECEIVE, XL_RESTORE } from './support/proof.js';
import { killedAndStalled } from './support/stalled.js';
import { host, onXen, sharedFolder } from './support/xen.js';

const GUEST = 'hvm';
const CHECKPOINTS = 20;
/**
 * FITDOC_XEN_SCREEN gives the guest a screen. Beside one, the emulated Xen itself was seen to stand for up to minutes: its
 * log says then that the platform timer wrapped, so that not even its own timers ran.
 */
const SCREEN = process.env['FITDOC_XEN_SCREEN'] !== undefined;

/** How far the guest said to be. */
const stepsOf = (name: string) => guestWords(host, name).at(-1)?.steps ?? 0;

/** KiB that a domain's balloon aims at. */
const targetOf = (name: string) => host.must(`xenstore-read /local/domain/$(xl domid ${name})/memory/target`);

onXen(`an HVM guest ${SCREEN ? 'with a screen' : 'without a screen'}, whose disk is read by DMA`, () => {
  beforeAll(() => createGuest(host, { name: GUEST, type: 'hvm', screen: SCREEN }));
  afterAll(() => destroyGuest(host, GUEST));

  describe.each(['direct', 'remus'])('by %s', (path) => {
    const store = sharedFolder(`hvm-${path}`);
    const output = sharedFolder(`hvm-${path}.log`);
    let taken: readonly Message[] = [];
    const steps: number[] = [];

    it('takes twenty checkpoints', async () => {
      const words = ['--store', store.inDom0, '--init', '--every', '200ms', '--count', String(CHECKPOINTS)];
      const watch = dom0Command('watch', `xen:${GUEST}`, ...words, '--json', '--set', `path=${path}`);
      let over = false;
      const job = host.run(`${watch} >${output.inDom0}`, { timeoutMs: 800_000 }).finally(() => (over = true));
      while (!over) {
        const out = existsSync(output.here) ? readFileSync(output.here, 'utf8') : '';
        taken = messages(out.slice(0, out.lastIndexOf('\n') + 1), 'checkpoint');
        while (steps.length < taken.length) steps.push(stepsOf(GUEST));
        await sleep(100);
      }
      const { code, err } = await job;
      const said = readFileSync(output.here, 'utf8');
      taken = messages(said, 'checkpoint');
      expect(code, `${err}${said.slice(-4000)}`).toBe(0);
      expect(taken.map((each) => each['kind'])).toEqual([
        'base',
        ...Array<string>(CHECKPOINTS - 1).fill('increment'),
      ]);
      for (const each of taken.slice(1)) expect(each['dirty_pages']).toBeLessThan(10_000);
      await waitForSweeps(host, GUEST, 1);
      console.log(`pauses ${taken.map((each) => Math.round(Number(each['pause_ms']))).join(' ')} ms`);
    });

    /** A restored copy proves itself, and goes on from where its checkpoint was taken. */
    async function proves(name: string, index: number, by = XL_RESTORE): Promise<void> {
      const first = await provesItself(name, { by });
      if (index > 0) expect(first).toBeGreaterThanOrEqual(steps[index - 1] ?? 0);
      expect(first).toBeLessThan(stepsOf(GUEST));
    }

    it.runIf(SCREEN)(
      `keeps what its screen shows as any other memory, and only what changed of it${SCREEN ? '' : ' (not run: FITDOC_XEN_SCREEN is not set)'}`,
      async () => {
        const where = ['--store', store.here, '--json'];
        const info = JSON.parse(await must('info', 'latest', ...where)) as Message;
        expect(info['device_state_bytes']).toBeLessThan(2 ** 20);
        const { regions } = JSON.parse(await must('diff', 'latest~10', 'latest', ...where)) as {
          readonly regions: readonly { readonly region: string; readonly pages: number }[];
        };
        const screen = regions.find((each) => each.region === 'video')!;
        expect(screen.pages).toBeGreaterThan(0);
        expect(screen.pages).toBeLessThan(1000);
      },
    );

    it.each([
      { index: 0, by: XL_RESTORE },
      { index: 3, by: XL_RESTORE },
      { index: 7, by: XL_RESTORE },
      { index: CHECKPOINTS - 1, by: XL_MIGRATE_RECEIVE },
    ])('brings back checkpoint $index through $by.program', async ({ index, by }) => {
      const name = `${GUEST}-${path}-${index}`;
      await restoreByHand(String(taken[index]!['id']), store.here, name, { by });
      await proves(name, index, by);
    });

    it('brings back checkpoint 13 in dom0, with the memory that the guest has', async () => {
      const index = 13;
      const name = `${GUEST}-${path}-${index}`;
      const words = [String(taken[index]!['id']), '--store', store.inDom0, '--to', `xen:${name}`];
      await host.must(dom0Command('restore', ...words), { timeoutMs: 600_000 });
      expect(await targetOf(name)).toBe(await targetOf(GUEST));
      await proves(name, index);
    });

    it('stopped, and then killed in a pause, a captor does not keep the guest', async () => {
      await killedAndStalled(GUEST, path);
    });
  });
});
