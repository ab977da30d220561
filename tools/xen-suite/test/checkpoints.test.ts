import { expect, it } from 'vitest';
import { guestWord, waitForSweeps } from '../../lab/src/xen/index.js';
import { dom0Command, fitdoc, messages, must, type Message } from './support/fitdoc.js';
import { provesItself } from './support/proof.js';
import { GUEST, host, onXen, overSsh, sharedFolder, withGuest } from './support/xen.js';

const SMALL = '/run/small';
const log = `/var/log/xen/guest-${GUEST}.log`;
const store = sharedFolder('checkpoints');

/** A checkpoint as `watch` told it, and how far the guest said to be when it was told. */
interface Taken extends Message {
  readonly steps: number;
}

function readWatch(out: string): Taken[] {
  const taken: Taken[] = [];
  for (const part of out.split(/^(?=\{)/m)) {
    const [message] = messages(part, 'checkpoint');
    if (message) taken.push({ ...message, steps: Number(/steps=(\d+)/.exec(part)?.[1]) });
  }
  return taken;
}

async function until(shell: string): Promise<void> {
  await host.must(`until ${shell}; do sleep 0.3; done`, { timeoutMs: 600_000 });
}

onXen('fitdoc in dom0, by the dirty log', () => {
  withGuest();
  let taken: Taken[] = [];

  it('takes twenty checkpoints, though the disk is full in between', async () => {
    await host.must(`mkdir -p ${SMALL}; mount -t tmpfs -o size=64m small ${SMALL}`);
    const words = ['--store', `${SMALL}/r`, '--init', '--every', '200ms', '--count', '20', '--json'];
    const watch = dom0Command('watch', `xen:${GUEST}`, ...words);
    const job = host.run(
      `{ ${watch}; echo "ended $?"; } | while read -r line; do
         echo "$line"; grep GUEST-OK ${log} | tail -n 1
       done | tee /run/watch.log`,
      { timeoutMs: 900_000 },
    );
    await until('[ "$(grep -c \'"checkpoint"\' /run/watch.log 2>/dev/null)" -ge 5 ]');
    await host.run(`dd if=/dev/zero of=${SMALL}/filler bs=64k; dd if=/dev/zero of=${SMALL}/rest bs=1`);
    await until('grep -q STORE_FULL /run/watch.log');
    expect((await guestWord(host, GUEST))!.bad).toBe(0);
    await host.must(`rm ${SMALL}/filler ${SMALL}/rest`);
    const { out, err } = await job;
    taken = readWatch(out);
    expect(out, err).toContain('ended 3');
    expect(taken.map((each) => each['kind'])).toEqual(['base', ...Array<string>(19).fill('increment')]);
    expect(taken[0]!['dirty_pages']).toBeGreaterThan(20_000);
    for (const each of taken.slice(1)) expect(each['dirty_pages']).toBeLessThan(10_000);
    await waitForSweeps(host, GUEST, 1);
    await host.must(`cp -r ${SMALL}/r ${store.inDom0}; umount ${SMALL}`);
    console.log(`pauses ${taken.map((each) => Math.round(Number(each['pause_ms']))).join(' ')} ms`);
  });

  async function restored(index: number, restore: (id: string, name: string) => Promise<unknown>) {
    const name = `${GUEST}-at-${index}`;
    await restore(String(taken[index]!['id']), name);
    const steps = await provesItself(name);
    // What it says first lies behind the word of the checkpoint before, and not behind what the original has done.
    expect(steps).toBeGreaterThanOrEqual(taken[Math.max(0, index - 1)]!.steps);
    expect(steps).toBeLessThan((await guestWord(host, GUEST))!.steps);
    return steps;
  }

  it('brings four of them back from another machine', async () => {
    const steps: number[] = [];
    for (const index of [0, 4, 9, 14]) {
      steps.push(
        await restored(index, (id, name) => {
          const { location, settings } = overSsh(name);
          return must('restore', id, '--store', store.here, '--to', location, ...settings);
        }),
      );
    }
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
  });

  it('keeps them as any other: list, info, diff, verify, compact', async () => {
    const where = ['--store', store.here, '--json'];
    const list = JSON.parse(await must('list', ...where)) as { checkpoints: Message[] };
    expect(list.checkpoints).toHaveLength(20);
    const info = JSON.parse(await must('info', 'latest', ...where)) as Message;
    expect(JSON.stringify(info)).toContain('xen 4.17');
    const diff = JSON.parse(await must('diff', 'latest~15', 'latest', ...where)) as Message;
    expect(Number(diff['pages'])).toBeGreaterThan(400);
    await must('verify', '--read-data', ...where);
    console.log(await must('compact', 'latest~9', 'latest', ...where));
    const shorter = JSON.parse(await must('list', ...where)) as { checkpoints: Message[] };
    expect(shorter.checkpoints).toHaveLength(11);
    await must('verify', '--read-data', ...where);
  });

  it('brings the last one back in dom0, from the compacted chain', async () => {
    await restored(19, (_id, name) =>
      host.must(dom0Command('restore', 'latest', '--store', store.inDom0, '--to', `xen:${name}`), {
        timeoutMs: 600_000,
      }),
    );
  });

  it('exports a file that xl restore takes, when the guest itself is gone', async () => {
    const file = sharedFolder('proof.xen');
    await must('export', 'latest', '--store', store.here, '--format', 'xen', '-o', file.here);
    await host.must(`xl destroy ${GUEST}; rm ${log}; xl restore ${file.inDom0} && rm ${file.inDom0}`);
    await waitForSweeps(host, GUEST, 2);
  });

  it('says what to do when there is no such guest, or no Xen', async () => {
    const { code, err } = await host.run(dom0Command('save', 'xen:nobody', '--store', store.inDom0));
    expect(code).toBe(1);
    expect(err).toContain('xl list');
    const here = await fitdoc('save', `xen:${GUEST}`, '--store', store.here);
    expect(here.code).toBe(1);
    expect(here.err).toContain('xen+ssh://HOST/DOMAIN');
  });
});
