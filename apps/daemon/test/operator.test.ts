import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import type { MachineStatus } from '../src/model.js';
import { mock } from './support/daemon.js';
import { test } from './support/test.js';

const FITDOC = fileURLToPath(new URL('../../cli/dist/main.js', import.meta.url));
const run = promisify(execFile);
const LONG = { timeout: 180_000 };

describe.concurrent('fitdocd leaves a machine to its operator', () => {
  test('who paused it: that is shown, is no failure, and ends by itself', LONG, async ({ place }) => {
    await place.configure(mock('p', '', '&stop-after=2&stop-for=4s'));
    const daemon = await place.start().ready();
    const paused = await daemon.until('p', ({ state }) => state === 'standing');
    expect(paused).toMatchObject({ failures: 0, checkpoints: 2, standing: { state: 'paused' } });
    expect(paused.standing?.message).toContain('paused by its operator');
    expect(paused.lastProblem).toBeUndefined();
    const asked = await daemon.job('/v1/machines/p/checkpoint');
    expect(asked).toMatchObject({ state: 'failed', problem: { code: 'MACHINE_NOT_RUNNING' } });
    const again = await daemon.until('p', ({ checkpoints }) => checkpoints >= 4);
    expect(again).toMatchObject({ failures: 0 });
    expect(again.standing).toBeUndefined();
    const timeline = await daemon.timeline('p');
    expect(timeline.map(({ kind }) => kind).slice(0, 4)).toEqual([
      'base',
      'increment',
      'increment',
      'increment',
    ]);
  });

  test('who asked for it: nothing is attached for a while, a restart included', LONG, async ({ place }) => {
    await place.configure(mock('r'));
    const first = await place.start().ready();
    await first.until('r', ({ checkpoints }) => checkpoints >= 2);
    const release = { method: 'POST', body: { for: '1h' } };
    const answer = await first.request<MachineStatus>('/v1/machines/r/release', release);
    expect(answer).toMatchObject({ status: 200, body: { state: 'released', failures: 0 } });
    expect(Date.parse(answer.body.releasedUntil ?? '')).toBeGreaterThan(Date.now() + 3_000_000);
    // Attached, it would have an image and an identity.
    expect(answer.body.machineId).toBeUndefined();
    const asked = await first.job('/v1/machines/r/checkpoint');
    expect(asked).toMatchObject({ state: 'failed', problem: { code: 'MACHINE_BUSY' } });
    const { length } = await first.timeline('r');
    expect(await first.kill('SIGTERM')).toBe(0);
    const second = await place.start().ready();
    expect((await second.machine('r')).state).toBe('released');
    const end = await second.request<MachineStatus>('/v1/machines/r/resume', { method: 'POST' });
    expect(end.status).toBe(200);
    await second.until('r', ({ checkpoints }) => checkpoints >= 1);
    const timeline = await second.timeline('r');
    expect(timeline[length]).toMatchObject({ kind: 'increment', parent: timeline[length - 1]?.id });
    expect((await second.machine('r')).releasedUntil).toBeUndefined();
  });

  test(
    'by the command line: detached, back by itself with an increment, or when asked',
    LONG,
    async ({ place }) => {
      await place.configure(mock('c'));
      const daemon = await place.start().ready();
      await daemon.until('c', ({ checkpoints }) => checkpoints >= 2);
      const fitdoc = (...args: string[]) =>
        run(process.execPath, [FITDOC, ...args, '--daemon', place.socket]).catch(
          (error: { code: number; stderr: string }) => error,
        );
      expect(await fitdoc('release', 'c', '--for', '10m')).toMatchObject({
        stdout: expect.stringMatching(/^c: released for \d+ min \d+ s; nothing is attached$/m) as string,
      });
      expect(await fitdoc('status')).toMatchObject({
        stdout: expect.stringMatching(/^c +released /m) as string,
      });
      const refused = await fitdoc('save', 'c');
      expect(refused).toMatchObject({ stderr: expect.stringContaining('fitdoc release c --end') as string });
      expect(await fitdoc('release', 'c', '--end')).toMatchObject({ stdout: 'c: taken back\n' });
      await daemon.until('c', ({ state }) => state === 'protected');
      const json = (await fitdoc('release', 'c', '--for', '1s', '--json')) as { stdout: string };
      expect(JSON.parse(json.stdout)).toMatchObject({ machine: { name: 'c', state: 'released' } });
      const { checkpoints } = await daemon.machine('c');
      // Nobody asks for it.
      await daemon.until(
        'c',
        (machine) => machine.state === 'protected' && machine.checkpoints > checkpoints,
      );
      const all = await daemon.timeline('c');
      expect(all.filter(({ kind }) => kind === 'base')).toHaveLength(1);
      all.slice(1).forEach((entry, index) => expect(entry.parent).toBe(all[index]?.id));
      expect(await fitdoc('release', 'c')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--for 10m') as string,
      });
      expect(await fitdoc('release', 'nobody', '--for', '1m')).toMatchObject({ code: 1 });
    },
  );

  test('for as long as was said, and not longer', LONG, async ({ place }) => {
    await place.configure(mock('t'));
    const daemon = await place.start().ready();
    await daemon.until('t', ({ checkpoints }) => checkpoints >= 1);
    await daemon.request('/v1/machines/t/release', { method: 'POST', body: { for: '2s' } });
    const { checkpoints } = await daemon.until('t', ({ state }) => state === 'released');
    await daemon.until('t', (machine) => machine.checkpoints > checkpoints);
    const wrong = await daemon.request('/v1/machines/t/release', { method: 'POST', body: { for: 'soon' } });
    expect(wrong.status).toBe(400);
  });
});
