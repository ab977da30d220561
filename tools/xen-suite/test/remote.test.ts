import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, expect, it } from 'vitest';
import { destroyGuest, waitForSweeps } from '../../lab/src/xen/index.js';
import { commandPath, fitdoc, messages, must } from './support/fitdoc.js';
import { provesItself } from './support/proof.js';
import { GUEST, host, onXen, overSsh, sharedFolder, withGuest } from './support/xen.js';

onXen('fitdoc on another machine, over ssh by Remus', () => {
  withGuest();
  afterAll(() => destroyGuest(host, GUEST));
  const store = sharedFolder('remote');
  const { location, settings } = overSsh(GUEST);
  const watch = ['watch', location, '--store', store.here, '--init', '--every', '1s', '--json', ...settings];

  it('takes checkpoints, and is killed: the guest runs on', async () => {
    const child = spawn(process.execPath, [commandPath, ...watch], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (messages(out, 'checkpoint').length >= 4) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const taken = messages(out, 'checkpoint');
    expect(taken.map((each) => each['kind'])).toEqual(['base', 'increment', 'increment', 'increment']);
    for (const each of taken.slice(1)) expect(each['dirty_pages']).toBeLessThan(10_000);
    console.log(`pauses ${taken.map((each) => Math.round(Number(each['pause_ms']))).join(' ')} ms`);
    await waitForSweeps(host, GUEST, 2);
    await must('verify', '--read-data', '--store', store.here);
  });

  it('brings the latest back on the Xen host', async () => {
    const copy = overSsh(`${GUEST}-remote`);
    await must('restore', 'latest', '--store', store.here, '--to', copy.location, ...copy.settings);
    expect(await provesItself(`${GUEST}-remote`)).toBeGreaterThan(0);
  });

  it('says what stands in the way, and what to do', async () => {
    const here = await fitdoc('save', `xen:${GUEST}`, '--store', store.here);
    expect(here.code).toBe(1);
    expect(here.err).toContain('xen+ssh://HOST/DOMAIN');
    const nobody = overSsh('nobody');
    const absent = await fitdoc('save', nobody.location, '--store', store.here, ...nobody.settings);
    expect(absent.code).toBe(1);
    expect(absent.err).toContain('xl list');
    const nowhere = await fitdoc('save', 'xen+ssh://nobody@nowhere.invalid/x', '--store', store.here);
    expect(nowhere.code).toBe(1);
    expect(nowhere.err).toContain('ssh HOST xl info');
    const taken = await fitdoc('restore', 'latest', '--store', store.here, '--to', location, ...settings);
    expect(taken.code).toBe(21);
    expect(taken.err).toContain('xl destroy');
  });

  it('says that the guest has crashed, and does not wait for it', async () => {
    await host.must(`xl sysrq ${GUEST} c; until xl list ${GUEST} | grep -q -- '---sc-'; do sleep 0.5; done`);
    const { code, err } = await fitdoc('save', location, '--store', store.here, ...settings);
    expect(err).toContain('The guest has crashed.');
    expect(err).toContain('MACHINE_NOT_RUNNING');
    expect(code).toBe(1);
  });
});
