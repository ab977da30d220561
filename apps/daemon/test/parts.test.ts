import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError } from '@fitdoc/interface';
import { describe, expect, test, vi } from 'vitest';
import { Alarm } from '../src/supervisor/alarm.js';
import { BackOff } from '../src/supervisor/back-off.js';
import { Jobs } from '../src/supervisor/jobs.js';
import { untilItRuns } from '../src/supervisor/until-it-runs.js';
import { withoutSecrets } from '../src/supervisor/without-secrets.js';
import { Requests } from '../src/supervisor/requests.js';
import { Semaphore } from '../src/supervisor/semaphore.js';

describe('an alarm', () => {
  test('ends a wait, or the next one', async () => {
    const alarm = new Alarm();
    const waiting = alarm.wait(1e9);
    alarm.ring();
    await waiting;
    alarm.ring();
    await alarm.wait(1e9);
    await alarm.wait(1);
  });
});

test('back-off doubles from one second to one minute, and begins anew', () => {
  const backOff = new BackOff();
  const waits = Array.from({ length: 8 }, () => backOff.next(() => 1));
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  backOff.reset();
  expect(backOff.next(() => 0)).toBe(500);
});

test('a semaphore lets so many through, and forgets who gave up', async () => {
  const semaphore = new Semaphore(2);
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await sleep(5);
    inside--;
  };
  const gaveUp = new AbortController();
  const all = Array.from({ length: 6 }, () => semaphore.run(work));
  const lost = semaphore.run(work, gaveUp.signal);
  gaveUp.abort();
  await expect(lost).rejects.toMatchObject({ code: 'ABORTED' });
  await Promise.all(all);
  expect(most).toBe(2);
  await semaphore.run(work);
});

test('a request that is cancelled is served by nothing', async () => {
  const requests = new Requests();
  const gaveUp = new AbortController();
  const lost = requests.add(gaveUp.signal);
  const kept = requests.add();
  gaveUp.abort();
  await expect(lost).rejects.toMatchObject({ code: 'ABORTED' });
  expect(requests.size).toBe(1);
  requests.rejectAll(new FitdocError('MACHINE_GONE', 'gone'));
  await expect(kept).rejects.toMatchObject({ code: 'MACHINE_GONE' });
  expect(requests.size).toBe(0);
});

describe('jobs', () => {
  test('run two heavy ones at a time, and can be cancelled while they wait and while they run', async () => {
    const jobs = new Jobs(() => undefined);
    const work = ({ signal }: { signal: AbortSignal }): Promise<void> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
    const ids = [1, 2, 3].map((number) => jobs.start('verify', `vm${number}`, work).id);
    await vi.waitFor(() => expect(jobs.get(ids[1] ?? '')?.state).toBe('running'), 60_000);
    expect(jobs.get(ids[2] ?? '')?.state).toBe('queued');
    expect(jobs.cancel(ids[2] ?? '')).toBe(true);
    expect((await jobs.ended(ids[2] ?? ''))?.state).toBe('cancelled');
    expect((await jobs.wait(ids[0] ?? '', 1))?.state).toBe('running');
    await jobs.close();
    expect(ids.map((id) => jobs.get(id)?.state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(jobs.cancel(ids[0] ?? '')).toBe(false);
    expect(() => jobs.start('verify', 'vm', work)).toThrow(/stopping/);
  });

  test('are refused beyond a number, and forgotten after a while', async () => {
    const jobs = new Jobs(() => undefined);
    const never = (): Promise<void> => new Promise(() => undefined);
    const first = jobs.start('checkpoint', 'vm', async () => 1);
    await jobs.ended(first.id);
    for (let i = 0; i < 300; i++) await jobs.ended(jobs.start('checkpoint', 'vm', async () => i).id);
    expect(jobs.get(first.id)).toBeUndefined();
    for (let i = 0; i < 200; i++) jobs.start('checkpoint', 'vm', never);
    expect(() => jobs.start('checkpoint', 'vm', never)).toThrow(/200 jobs are open/);
  });

  test('announce progress now and then only, and keep the newest', async () => {
    const announced: unknown[] = [];
    const jobs = new Jobs(({ progress }) => announced.push(progress));
    const { id } = jobs.start('checkpoint', 'vm', async ({ onProgress }) => {
      for (let done = 1; done <= 1000; done++) onProgress({ phase: 'x', done, unit: 'pages' });
      expect(jobs.list()[0]?.progress?.done).toBe(1000);
    });
    expect((await jobs.ended(id))?.state).toBe('done');
    expect(announced.length).toBeLessThan(20);
  });
});

describe('a restore', () => {
  test('is cancelled until its guest runs, and after that by a hurry alone', () => {
    const progress: string[] = [];
    const begin = () => {
      const [cancel, hurry] = [new AbortController(), new AbortController()];
      const guest = untilItRuns(cancel.signal, hurry.signal);
      return { cancel, hurry, guest, options: guest.options(({ phase }) => progress.push(phase)) };
    };
    const waits = begin();
    waits.options.onProgress?.({ phase: 'x', done: 0, unit: 'pages' });
    waits.cancel.abort();
    expect(waits.options.signal?.aborted).toBe(true);
    const runs = begin();
    runs.options.onRunning?.('running');
    runs.options.onProgress?.({ phase: 'x', done: 0, unit: 'pages' });
    runs.cancel.abort();
    expect(runs.options.signal?.aborted).toBe(false);
    runs.hurry.abort();
    expect(runs.options.signal?.aborted).toBe(true);
    expect(progress).toEqual(['x', 'the guest runs; x']);
    expect(
      untilItRuns(AbortSignal.abort(), new AbortController().signal).options(() => undefined).signal,
    ).toHaveProperty('aborted', true);
  });

  test('that may not be cancelled is told to hurry', async () => {
    const jobs = new Jobs(() => undefined);
    const { id } = jobs.start(
      'restore',
      'vm',
      ({ hurry }) =>
        new Promise((_, reject) => hurry.addEventListener('abort', () => reject(new Error('hurried')))),
    );
    await vi.waitFor(() => expect(jobs.get(id)?.state).toBe('running'), 60_000);
    const closed = jobs.close();
    expect(jobs.get(id)?.state).toBe('running');
    jobs.hurry();
    await closed;
    expect(jobs.get(id)).toMatchObject({ state: 'cancelled', problem: { message: 'hurried' } });
  });
});

test('locations are shown without their passwords', () => {
  expect(withoutSecrets('xen+ssh://root:secret@host/vm')).toBe('xen+ssh://root:***@host/vm');
  expect(withoutSecrets('kvm:/run/vm.qmp')).toBe('kvm:/run/vm.qmp');
  expect(withoutSecrets('xen+ssh://root@host/vm')).toBe('xen+ssh://root@host/vm');
});
