import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { guestWords, waitForSweeps } from '../../lab/src/xen/index.js';
import { dom0Command, messages, must, type Message } from './support/fitdoc.js';
import { provesItself, restoreByHand } from './support/proof.js';
import { GUEST, host, onXen, sharedFolder, withGuest } from './support/xen.js';

const SMALL = '/run/small';
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

  /** Waits until the running `watch` has told what is looked for. */
  async function told(enough: () => boolean): Promise<void> {
    for (;;) {
      const out = existsSync(output.here) ? readFileSync(output.here, 'utf8') : '';
      taken = messages(out.slice(0, out.lastIndexOf('\n') + 1), 'checkpoint');
      while (steps.length < taken.length) steps.push(stepsOf(GUEST));
      if (enough() || out.includes('ended')) return;
      await sleep(100);
    }
  }

  it('takes twenty checkpoints, though the disk is full in between and the balloon moves', async () => {
    await host.must(`mkdir -p ${SMALL}; mount -t tmpfs -o size=64m small ${SMALL}`);
    const words = ['--store', `${SMALL}/r`, '--init', '--every', '200ms', '--count', '20', '--json'];
    const watch = dom0Command('watch', `xen:${GUEST}`, ...words);
    const job = host.run(`{ ${watch}; echo "ended $?"; } >${output.inDom0}`, { timeoutMs: 900_000 });
    await told(() => taken.length >= 5);
    await host.run(`dd if=/dev/zero of=${SMALL}/filler bs=64k; dd if=/dev/zero of=${SMALL}/rest bs=512`);
    await told(() => readFileSync(output.here, 'utf8').includes('STORE_FULL'));
    await waitForSweeps(host, GUEST, 1);
    await host.must(`rm ${SMALL}/filler ${SMALL}/rest; xl mem-set ${GUEST} 76`);
    await told(() => taken.length >= 13);
    await host.must(`xl mem-set ${GUEST} 70`);
    await told(() => false);
    const { err } = await job;
    expect(readFileSync(output.here, 'utf8'), err).toContain('ended 3');
    expect(taken.map((each) => each['kind'])).toEqual(['base', ...Array<string>(19).fill('increment')]);
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

  it.each([0, 4, 9, 14])('brings back number %i through xl restore', async (index) => {
    const name = `${GUEST}-at-${index}`;
    await restoreByHand(String(taken[index]!['id']), store.here, name);
    await proves(name, index);
  });

  it('keeps them as any other: list, info, diff, verify, compact', async () => {
    const where = ['--store', store.here, '--json'];
    const list = async () =>
      (JSON.parse(await must('list', ...where)) as { checkpoints: Message[] }).checkpoints;
    expect(await list()).toHaveLength(20);
    expect(JSON.parse(await must('info', 'latest', ...where))).toMatchObject({
      hypervisor: expect.stringContaining('xen 4.17') as string,
    });
    const diff = JSON.parse(await must('diff', 'latest~15', 'latest', ...where)) as Message;
    expect(diff['pages']).toBeGreaterThan(100);
    await must('verify', '--read-data', ...where);
    await must('compact', 'latest~9', 'latest', ...where);
    expect(await list()).toHaveLength(11);
    await must('verify', '--read-data', ...where);
  });

  it('brings back the last one in dom0, from the compacted chain', async () => {
    const name = `${GUEST}-at-19`;
    const command = dom0Command('restore', 'latest', '--store', store.inDom0, '--to', `xen:${name}`);
    await host.must(command, { timeoutMs: 600_000 });
    // What the guest gave away in between is not given back to it.
    expect(await memoryOf(name)).toBe(await memoryOf(GUEST));
    await proves(name, 19);
  });

  it('exports a file that xl restore takes when the guest itself is gone', async () => {
    const file = sharedFolder('proof.xen');
    await must('export', 'latest', '--store', store.here, '--format', 'xen', '-o', file.here);
    await host.must(`xl destroy ${GUEST}; xl restore ${file.inDom0} && rm ${file.inDom0}`);
    await waitForSweeps(host, GUEST, 2);
  });
});
