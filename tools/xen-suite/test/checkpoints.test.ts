import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { guestWords, waitForSweeps } from '../../lab/src/xen/index.js';
import { dom0Command, messages, must, type Message } from './support/fitdoc.js';
import { provesItself, restoreByHand, XL_MIGRATE_RECEIVE, XL_RESTORE } from './support/proof.js';
import { GUEST, host, onXen, sharedFolder, withGuest } from './support/xen.js';

const SMALL = '/run/small';
/** What dom0 writes after all that `watch` wrote. */
const ENDED = /^ended \d+$/m;
const store = sharedFolder('checkpoints');
const output = sharedFolder('watch.log');

/** Steps that the guest had done when it last spoke. */
const stepsOf = (name: string) => guestWords(host, name).at(-1)?.steps ?? 0;

/** MiB that a domain has. */
const memoryOf = async (name: string) => Number(await host.must(`xl list ${name} | awk 'END { print $3 }'`));

onXen('fitdoc in dom0, by the dirty log', () => {
  withGuest();
  /** The checkpoints in order, and how far the guest said to be when each of them was told. */
  let taken: readonly Message[] = [];
  const steps: number[] = [];
  /** How many there were when something happened. */
  const at = { full: 0, room: 0, more: 0 };

  /** Waits until the running `watch` has told what is looked for. */
  async function told(enough: (out: string) => boolean): Promise<void> {
    for (;;) {
      const out = existsSync(output.here) ? readFileSync(output.here, 'utf8') : '';
      taken = messages(out.slice(0, out.lastIndexOf('\n') + 1), 'checkpoint');
      while (steps.length < taken.length) steps.push(stepsOf(GUEST));
      if (enough(out)) return;
      if (ENDED.test(out)) throw new Error(`watch ended too early:\n${out}`);
      await sleep(100);
    }
  }

  it('takes twenty checkpoints, though the disk is full in between and the balloon moves', async () => {
    await host.must(`mkdir -p ${SMALL}; mount -t tmpfs -o size=32m small ${SMALL}`);
    const words = ['--store', `${SMALL}/r`, '--init', '--every', '200ms', '--json'];
    const watch = dom0Command('watch', `xen:${GUEST}`, ...words);
    const job = host.run(
      `{ ${watch} & echo $! >/run/watch.pid; wait $!; echo "ended $?"; } >${output.inDom0}`,
      { timeoutMs: 900_000 },
    );
    await told(() => taken.length >= 6);
    await host.run(`dd if=/dev/zero of=${SMALL}/filler bs=64k; dd if=/dev/zero of=${SMALL}/rest bs=512`);
    await told((out) => out.includes('STORE_FULL'));
    await waitForSweeps(host, GUEST, 1);
    at.full = taken.length;
    await host.must(`rm ${SMALL}/filler ${SMALL}/rest`);
    await told(() => taken.length >= at.full + 3);
    at.room = taken.length;
    await host.must(`xl mem-set ${GUEST} 76`);
    await told(() => taken.length >= at.room + 3);
    at.more = taken.length;
    await host.must(`xl mem-set ${GUEST} 70`);
    await told(() => taken.length >= Math.max(20, at.more + 3));
    await host.must('kill $(cat /run/watch.pid)');
    await told((out) => ENDED.test(out));
    const { err } = await job;
    // Some failed; the rest is as if nothing had been.
    expect(readFileSync(output.here, 'utf8'), err).toContain('ended 3');
    const increments = Array<string>(taken.length - 1).fill('increment');
    expect(taken.map((each) => each['kind'])).toEqual(['base', ...increments]);
    for (const each of taken.slice(1)) expect(each['dirty_pages']).toBeLessThan(10_000);
    await waitForSweeps(host, GUEST, 1);
    await host.must(`cp -r ${SMALL}/r ${store.inDom0}; umount ${SMALL}`);
    console.log(`pauses ${taken.map((each) => Math.round(Number(each['pause_ms']))).join(' ')} ms`);
  });

  /** Lets a restored guest prove itself, and says whether it went on from where that checkpoint was taken. */
  async function proves(name: string, index: number): Promise<void> {
    const first = await provesItself(name);
    if (index > 0) expect(first).toBeGreaterThanOrEqual(steps[index - 1]!);
    expect(first).toBeLessThan(stepsOf(GUEST));
  }

  it.each([
    ['the base', () => 0],
    ['one before the disk was full', () => 4],
    ['the first after it', () => at.full],
    ['one with more memory', () => at.more - 1],
  ])('brings back %s through xl restore', async (_which, pick) => {
    const index = pick();
    const name = `${GUEST}-at-${index}`;
    await restoreByHand(String(taken[index]!['id']), store.here, name);
    await proves(name, index);
  });

  it('keeps them as any other: list, info, diff, verify, compact', async () => {
    const where = ['--store', store.here, '--json'];
    const list = async () =>
      (JSON.parse(await must('list', ...where)) as { checkpoints: Message[] }).checkpoints;
    expect(await list()).toHaveLength(taken.length);
    expect(JSON.parse(await must('info', 'latest', ...where))).toMatchObject({
      hypervisor: expect.stringContaining('xen 4.17') as string,
    });
    const diff = JSON.parse(await must('diff', 'latest~15', 'latest', ...where)) as Message;
    expect(diff['pages']).toBeGreaterThan(100);
    await must('verify', '--read-data', ...where);
    await must('compact', 'latest~9', 'latest', ...where);
    expect(await list()).toHaveLength(taken.length - 9);
    await must('verify', '--read-data', ...where);
  });

  it('brings back the last one in dom0, from the compacted chain', async () => {
    const name = `${GUEST}-at-last`;
    const command = dom0Command('restore', 'latest', '--store', store.inDom0, '--to', `xen:${name}`);
    await host.must(command, { timeoutMs: 600_000 });
    // What the guest gave away in between is not given back to it.
    expect(await memoryOf(name)).toBe(await memoryOf(GUEST));
    await proves(name, taken.length - 1);
  });

  it.each([XL_MIGRATE_RECEIVE, XL_RESTORE])(
    'exports what $program takes when the guest itself is gone',
    async ({ command, consoleOf }) => {
      const file = sharedFolder('proof.xen');
      await must('export', 'latest', '--store', store.here, '--format', 'xen', '-o', file.here);
      await host.must(`xl destroy ${GUEST}; ${command(file.inDom0)} && rm ${file.inDom0}`);
      await waitForSweeps(host, consoleOf(GUEST), 2);
      await host.must(`xl domid ${GUEST}`);
    },
  );
});
