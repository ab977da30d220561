import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createGuest, destroyGuest, waitForSweeps } from '../../lab/src/xen/index.js';
import { dom0Command, messages } from './support/fitdoc.js';
import { inDom0 } from './support/scenarios.js';
import { host, onXen, sharedFolder } from './support/xen.js';

const GUEST = 'stands';
const output = sharedFolder('stands.log');

const said = () => readFileSync(output.here, 'utf8');
const flagsOf = async () =>
  / ([-r][-b][-p][-s].[-d]) /.exec((await host.run(`xl list ${GUEST}`)).out)?.[1] ?? 'none';
const domid = async () => (await host.run(`xl domid ${GUEST}`)).out.trim();

async function until(what: () => boolean | Promise<boolean>, looks = 900): Promise<void> {
  for (let look = 0; look < looks; look++, await sleep(200)) if (await what()) return;
  throw new Error(`That did not come: ${what.toString()}\n${said()}\n${(await host.run('xl list')).out}`);
}

/** Starts `watch` in dom0; resolves when it has told of a third checkpoint. */
async function watch(): Promise<{ ended: Promise<unknown> }> {
  const words = ['--store', '/run/stands', '--init', '--every', '200ms', '--json'];
  const command = dom0Command('watch', `xen:${GUEST}`, ...words);
  await host.must(`: >${output.inDom0}`);
  const ended = host.run(
    `rm -rf /run/stands; { ${command} & echo $! >/run/stands.pid; wait $!; } >>${output.inDom0} 2>&1`,
    { timeoutMs: 600_000 },
  );
  // As long as the command itself may take: Node.js starts slowly in an emulator beside others.
  await until(() => messages(said(), 'checkpoint').length >= 3, 3000);
  return { ended };
}

async function end(signal: 'KILL' | 'TERM', { ended }: { ended: Promise<unknown> }): Promise<void> {
  await host.must(`kill -${signal} $(cat /run/stands.pid)`);
  await ended;
}

/** Lets the guest end by itself, and waits until xl has acted on it. */
async function restartedBy(key: 'b' | 'c'): Promise<void> {
  const before = await domid();
  await host.must(`xl sysrq ${GUEST} ${key}`);
  await until(async () => !['', before].includes(await domid()));
  await waitForSweeps(host, GUEST, 1);
}

onXen('whose guest it is', () => {
  // xl starts it anew with what its balloon leaves it, which must be enough to boot.
  beforeAll(() => createGuest(host, { name: GUEST, type: 'pvh', balloon: 80, onCrash: 'restart' }));
  afterAll(() => destroyGuest(host, GUEST));

  it('paused by its operator: it stays so, though fitdoc is killed; and is captured again', async () => {
    const running = await watch();
    await host.must(`xl pause ${GUEST}`);
    await until(() => said().includes('was paused by its operator'));
    expect(await flagsOf()).toBe('--p---');
    const before = messages(said(), 'checkpoint').length;
    await host.must(`xl unpause ${GUEST}`);
    await until(() => messages(said(), 'checkpoint').length >= before + 2);
    expect(messages(said(), 'checkpoint').at(-1)).toMatchObject({ kind: 'increment' });
    await host.must(`xl pause ${GUEST}`);
    await end('KILL', running);
    await sleep(4000);
    expect(await flagsOf()).toBe('--p---');
    await host.must(`xl unpause ${GUEST}`);
    await waitForSweeps(host, GUEST, 2);
  });

  it('migrated by its toolstack: left alone, then captured whole', async () => {
    const running = await watch();
    const answer = 'xl migration receiver ready, send binary domain data.';
    const receiver = `sh -c 'echo \\"${answer}\\"; exec cat >/dev/null' --`;
    await host.must(
      `(xl remus -F -n -d -i 500 -s "${receiver}" ${GUEST} nobody >/run/stands-remus.log 2>&1 & echo $! >/run/stands-remus.pid)`,
    );
    await until(() => said().includes('being saved or migrated'));
    await host.must('kill $(cat /run/stands-remus.pid)');
    const before = messages(said(), 'checkpoint').length;
    await until(() => messages(said(), 'checkpoint').length >= before + 2);
    await end('TERM', running);
    await waitForSweeps(host, GUEST, 2);
  });

  it('killed or ended, fitdoc leaves a guest whose reboot and crash xl acts on', async () => {
    await end('KILL', await watch());
    await waitForSweeps(host, GUEST, 1);
    await restartedBy('b');
    await end('TERM', await watch());
    await restartedBy('c');
  });

  it('killed as its guest has just run on, fitdoc leaves a guest whose reboot xl acts on', async () => {
    // Of this run alone: one that failed, or ran before on the same host, leaves its own.
    const mark = `/run/stands-resumed-${process.pid}`;
    const argument = { domain: GUEST, config: { path: 'direct' }, mark, signals: ['SIGKILL'], resumed: true };
    expect((await inDom0('stall.mjs', argument)).code).not.toBe(0);
    await host.must(`[ -e ${mark} ]`);
    // As long as the guard is there it may keep xl from seeing what xl would otherwise have to be told.
    await until(async () => (await host.run("grep -q 'guard[.]js' /proc/[0-9]*/cmdline")).code !== 0);
    await restartedBy('b');
  });
});
