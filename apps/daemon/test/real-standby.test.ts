import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from '../../../tools/lab/src/gate.js';
import {
  missingForKvm,
  startGuest,
  waitForHeartbeats,
  type RunningGuest,
} from '../../../tools/lab/src/qemu/index.js';
import type { JobStatus, PromotionResult, StandbyState, StandbyStatus } from '../src/model.js';
import { Place, type Running } from './support/daemon.js';

const kvm = gate('kvm', await missingForKvm());
const LONG = { timeout: 300_000 };
const TOKEN = 'a-token-that-only-this-test-knows';

let place: Place;
let guest: RunningGuest;
let daemon: Running;
/** The one that was started in place of the guest. */
let promoted: PromotionResult | undefined;

describe.skipIf(kvm.skip)(kvm.title('standbys of the daemon'), () => {
  beforeAll(async () => {
    place = await Place.make();
    guest = await startGuest({
      ...{
        accel: 'kvm',
        machine: 'pc-i440fx-7.2',
        name: 'web',
        uuid: '11111111-2222-3333-4444-555555555557',
      },
      ...{ memoryKib: 192 * 1024, firmwareHeart: { mib: 8 } },
    });
    await writeFile(place.file('token'), `${TOKEN}\n`);
    const standby = (name: string, machine: string): string => `
[standbys.${name}]
machine = "${machine}"
repository = "local"
dir = "${place.file(name)}"
every = "100ms"
`;
    await place.configure(
      `
[machines.web]
location = "kvm:${guest.qmpPath}"
repository = "local"
every = "300ms"
[machines.here]
location = "kvm:${place.file('first')}/machine/qmp.sock"
repository = "local"
every = "300ms"
${standby('first', 'web')}${standby('second', 'web')}${standby('nobody', 'of-this-name')}`,
      `listen = "127.0.0.1:0"\ntoken-file = "${place.file('token')}"`,
    );
    daemon = await place.start().ready();
  }, 300_000);
  afterAll(async () => {
    await place?.remove();
    if (promoted) process.kill(promoted.pid, 'SIGKILL');
    while (promoted && existsSync(`/proc/${promoted.pid}`)) await sleep(20);
    await guest?.stop();
  });

  const until = (name: string, test: (standby: StandbyStatus) => boolean): Promise<StandbyStatus> =>
    daemon.event((event) =>
      event.type === 'standby' && event.standby.name === name && test(event.standby)
        ? event.standby
        : undefined,
    );
  const is = (state: StandbyState) => (standby: StandbyStatus) => standby.state === state;
  const promote = (name: string, headers?: Record<string, string>, url?: string) =>
    daemon.request<JobStatus & { code: string; hint: string }>(`/v1/standbys/${name}/promote`, {
      method: 'POST',
      ...(headers && { headers }),
      ...(url !== undefined && { url }),
    });

  test('follow what is protected, and say how far behind they are', LONG, async () => {
    const first = await until('first', is('ready'));
    const later = await until('first', ({ ready }) => (ready?.sequence ?? 0) > first.ready!.sequence + 1);
    expect(later).toMatchObject({ machine: 'web', repository: 'local', directory: place.file('first') });
    expect(later.behindMs).toBeGreaterThan(0);
    await until('second', is('ready'));
    const metrics = (await daemon.request<string>('/metrics')).text;
    expect(metrics).toMatch(/^fitdoc_standby_behind_seconds\{standby="first"\} [\d.]+$/m);
    expect(metrics).not.toMatch(/^fitdoc_standby_behind_seconds\{standby="nobody"\}/m);
    expect(metrics).toMatch(/^fitdoc_standby_state\{standby="first",state="ready"\} 1$/m);
    expect(metrics).toMatch(/^fitdoc_standby_trouble\{standby="nobody"\} 1$/m);
  });

  test(
    'one with nothing to promote is refused by name, and so is a caller without the token',
    LONG,
    async () => {
      const nothing = await promote('nobody');
      expect(nothing.status).toBe(404);
      expect(nothing.body).toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
      expect(nothing.body.hint).toContain('of-this-name');
      expect(await promote('unknown')).toMatchObject({ status: 404, body: { code: 'MACHINE_NOT_FOUND' } });
      const { tcp } = await daemon.logged(({ msg }) => msg?.startsWith('protecting') ?? false);
      const url = String(tcp).includes('//') ? String(tcp) : `http://${String(tcp)}`;
      expect(await promote('first', {}, url)).toMatchObject({ status: 401 });
      expect(await daemon.get('/v1/standbys/first')).toMatchObject({ state: 'ready' });
    },
  );

  test(
    'of two promoted at once one starts the machine; the daemon goes on with its chain',
    LONG,
    async () => {
      const [first, again] = await Promise.all([promote('first'), promote('first')]);
      const started = [first, again].find(({ status }) => status === 202)!;
      const job = await daemon.ended(started.body.id);
      expect(job).toMatchObject({ kind: 'promote', state: 'done' });
      promoted = job.result as PromotionResult;
      expect(promoted).toMatchObject({
        state: 'running',
        location: `kvm:${place.file('first')}/machine/qmp.sock`,
      });
      const other = first === started ? again : first;
      if (other.status === 202)
        expect((await daemon.ended(other.body.id)).problem?.code).toMatch(/BUSY|CONFLICT/);
      else expect(other.status).toBe(409);
      const beats = await waitForHeartbeats(promoted.consoles[0]!, (found) => found.length > 2, 120_000);
      expect(beats.every(({ intact }) => intact)).toBe(true);
      expect(await daemon.get('/v1/standbys/first')).toMatchObject({
        state: 'promoted',
        promoted: { location: promoted.location, pid: promoted.pid },
      });

      // Promoted already; and another standby holds what the machine was before.
      expect(await promote('first')).toMatchObject({ status: 409, body: { code: 'MACHINE_CONFLICT' } });
      const second = await promote('second');
      expect(second.status).toBe(202);
      expect(await daemon.ended(second.body.id)).toMatchObject({
        state: 'failed',
        problem: { code: 'MACHINE_CONFLICT' },
      });
      await until('second', is('ready'));

      await daemon.until('web', ({ lastProblem }) => lastProblem?.code === 'MACHINE_CONFLICT');
      await daemon.request('/v1/machines/here/resume', { method: 'POST' });
      const here = await daemon.until('here', ({ checkpoints }) => checkpoints > 0);
      expect(here).toMatchObject({ lastCheckpoint: { kind: 'increment' } });
      const { sequence } = here.lastCheckpoint!;
      await until('second', ({ ready }) => (ready?.sequence ?? 0) >= sequence);
    },
  );

  test('a daemon that ends leaves the machine running, and knows of it when it is back', LONG, async () => {
    expect(await daemon.kill('SIGTERM')).toBe(0);
    expect(existsSync(`/proc/${promoted!.pid}`)).toBe(true);
    daemon = await place.start().ready();
    expect(await until('first', is('promoted'))).toMatchObject({ promoted: { pid: promoted!.pid } });
    await until('second', is('ready'));
    const ended = once(daemon.child, 'exit');
    daemon.child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});
