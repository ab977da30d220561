import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { mock, type Place, type Running } from './support/daemon.js';
import { test } from './support/test.js';

const LONG = { timeout: 180_000 };

describe.concurrent('fitdocd protects', () => {
  async function started(place: Place, machines: string, more = ''): Promise<Running> {
    await place.configure(machines, more);
    return place.start().ready();
  }

  test('every machine by its schedule, in one unbroken chain each', LONG, async ({ place }) => {
    const daemon = await started(
      place,
      mock('a') + mock('b', 'adaptive = { mtbf = "1h", min = "100ms", max = "2s" }'),
    );
    const [a, b] = await Promise.all(['a', 'b'].map((name) => daemon.until(name, (m) => m.checkpoints >= 4)));
    expect(a).toMatchObject({ schedule: 'every 200 ms', failures: 0, machineId: 'a' });
    expect(b?.schedule).toMatch(/^adaptive, \d+ ms now$/);
    for (const name of ['a', 'b']) {
      const timeline = await daemon.timeline(name);
      expect(timeline[0]).toMatchObject({ kind: 'base', parent: null, sequence: 0 });
      timeline.slice(1).forEach((entry, index) => {
        expect(entry).toMatchObject({ kind: 'increment', parent: timeline[index]?.id, sequence: index + 1 });
      });
    }
    expect(await daemon.kill('SIGTERM')).toBe(0);
  });

  test('the others while one fails, which is tried again after growing waits', LONG, async ({ place }) => {
    const daemon = await started(
      place,
      mock('good') + mock('bad', '', '&fail-capture=1') + mock('gone', '', '&disks=1'),
    );
    const bad = await daemon.until('bad', (machine) => machine.failures >= 3);
    expect(bad.lastProblem).toMatchObject({ code: 'CAPTURE_FAILED', message: 'The capture broke off.' });
    expect(bad.checkpoints).toBe(0);
    expect(bad.machineId).toBe('bad');
    const times = daemon.log
      .filter(({ machine, problem }) => machine === 'bad' && problem)
      .map(({ time }) => Number(time));
    const [first = 0, second = 0, third = 0] = times;
    expect(second - first).toBeGreaterThanOrEqual(500);
    expect(third - second).toBeGreaterThanOrEqual(1000);
    const gone = await daemon.until('gone', (machine) => machine.state === 'waiting');
    expect(gone.lastProblem).toMatchObject({ code: 'MACHINE_HAS_DISKS' });
    expect(gone.nextDueAt).toBeDefined();
    const good = await daemon.until('good', (machine) => machine.checkpoints >= 5);
    expect(good.failures).toBe(0);
  });

  test('a machine that died and came back, going on with an increment', LONG, async ({ place }) => {
    const daemon = await started(place, mock('phoenix', '', '&die-at=4'));
    const dead = await daemon.until(
      'phoenix',
      (machine) => machine.state === 'waiting' && !!machine.lastProblem,
    );
    expect(dead.lastProblem?.code).toMatch(/MACHINE_(GONE|NOT_FOUND)/);
    const before = await daemon.timeline('phoenix');
    expect(before).toHaveLength(3);
    const restored = await daemon.job('/v1/machines/phoenix/restore', {
      checkpoint: 'latest',
      to: 'mock:phoenix',
    });
    expect(restored).toMatchObject({
      state: 'done',
      result: { state: 'running', checkpoint: before[2]?.id },
    });
    await daemon.request('/v1/machines/phoenix/resume', { method: 'POST' });
    await daemon.until('phoenix', (machine) => machine.checkpoints >= 4);
    const after = await daemon.timeline('phoenix');
    expect(after[3]).toMatchObject({ kind: 'increment', parent: before[2]?.id, sequence: 3 });
  });

  test(
    'a machine whose guest was left paused: it says so, and frees it with the next try',
    LONG,
    async ({ place }) => {
      const daemon = await started(place, mock('still', '', '&leave-paused=2'));
      const stuck = await daemon.until('still', (machine) => machine.state === 'stuck');
      expect(stuck.lastProblem?.code).toBe('MACHINE_PAUSED');
      await daemon.until('still', (machine) => machine.checkpoints >= 2);
    },
  );

  test('through a store that fails for a while, keeping the attachment', LONG, async ({ place }) => {
    const daemon = await started(place, mock('a'));
    await daemon.until('a', (machine) => machine.checkpoints >= 2);
    const repository = place.file('repository');
    const away = place.file('away');
    // The place of the repository becomes a file: nothing can be written there.
    await rename(repository, away);
    await writeFile(repository, 'not a folder');
    const failing = await daemon.until('a', (machine) => machine.failures >= 1);
    expect(failing.machineId).toBe('a');
    await rm(repository);
    await rename(away, repository);
    const { checkpoints } = failing;
    await daemon.until('a', (machine) => machine.checkpoints > checkpoints + 1);
    const timeline = await daemon.timeline('a');
    expect(timeline.filter(({ kind }) => kind === 'base')).toHaveLength(1);
  });

  test(
    'a machine that falls behind: what it misses is counted and left out, and one thing is done at a time',
    LONG,
    async ({ place }) => {
      const daemon = await started(place, mock('slow', 'every = "50ms"', '&slow-capture=400ms'));
      const slow = await daemon.until('slow', (machine) => machine.checkpoints >= 3);
      expect(slow.missed).toBeGreaterThanOrEqual(3 * 6);
      await daemon.logged(({ msg }) => msg?.includes('falls behind') ?? false);
      const metrics = await daemon.request('/metrics');
      expect(
        Number(/^fitdoc_missed_checkpoints_total\{vm="slow"\} (\d+)$/m.exec(metrics.text)?.[1]),
      ).toBeGreaterThanOrEqual(18);
    },
  );

  test('over its pause budget with a word of warning', LONG, async ({ place }) => {
    const budget = 'pause-budget = "1ms"\npause-budget-over = "warn"';
    const daemon = await started(place, mock('a', `every = "200ms"\n${budget}`, '&slow-device=30ms'));
    const warned = await daemon.until('a', (machine) => !!machine.lastProblem);
    expect(warned.lastProblem?.message).toMatch(/^The pause of \d+ ms exceeds the budget of 1 ms\.$/);
    expect(warned.failures).toBe(0);
  });

  test('with a pause within its budget, which is counted as kept', LONG, async ({ place }) => {
    const budget = 'pause-budget = "10s"\npause-budget-over = "refuse"';
    const daemon = await started(place, mock('a', `every = "200ms"\n${budget}`));
    const seen = await daemon.until('a', (machine) => (machine.pauseBudget?.kept ?? 0) >= 3);
    expect(seen.pauseBudget).toMatchObject({ exceeded: 0, refused: 0 });
    expect(seen).toMatchObject({ failures: 0 });
    const { text } = await daemon.request('/metrics');
    expect(text).toMatch(/^fitdoc_pause_budget_total\{vm="a",outcome="kept"\} [3-9]/m);
    expect(text).toMatch(/^fitdoc_pause_budget_total\{vm="a",outcome="refused"\} 0$/m);
  });

  for (const [over, outcome] of [
    ['exceed', 'exceeded'],
    ['refuse', 'refused'],
  ] as const) {
    test(`with a pause beyond its budget ${outcome} as told`, LONG, async ({ place }) => {
      const budget = `pause-budget = "1ms"\npause-budget-wait = "50ms"\npause-budget-over = "${over}"`;
      const daemon = await started(place, mock('a', `every = "200ms"\n${budget}`, '&slow-device=30ms'));
      const seen = await daemon.until('a', (machine) => (machine.pauseBudget?.[outcome] ?? 0) >= 3);
      const metrics = await daemon.request('/metrics');
      expect(metrics.text).toMatch(
        new RegExp(`^fitdoc_pause_budget_total\\{vm="a",outcome="${outcome}"\\} [1-9]`, 'm'),
      );
      if (over === 'refuse') expect(seen.lastProblem?.message).toMatch(/over the budget of 1 ms/);
    });
  }

  test('with a hook in each pause, whose failure is tried again', LONG, async ({ place }) => {
    const gate = place.file('gate');
    const text = `echo "snap of $FITDOC_MACHINE at $FITDOC_SEQUENCE"; [ -e '${gate}' ] || exit 5`;
    const hook = `pause-hook = { command = ["sh", "-c", '''${text}'''], timeout = "30s" }`;
    const daemon = await started(place, mock('a', `every = "200ms"\n${hook}`));
    const failed = await daemon.until('a', (machine) => machine.failures >= 1);
    expect(failed.lastProblem).toMatchObject({
      code: 'CAPTURE_FAILED',
      message: 'The pause hook ended with exit code 5.',
    });
    expect(failed.checkpoints).toBe(0);
    await writeFile(gate, '');
    await daemon.until('a', (machine) => machine.checkpoints >= 2);
  });

  test('between hooks: a freeze that hangs costs the checkpoint, never the thaw', LONG, async ({ place }) => {
    const log = place.file('hooks.log');
    const hang = place.file('hang');
    const before = `["sh", "-c", "echo freeze >> '${log}'; test ! -e '${hang}' || sleep 1000"]`;
    const hooks = `hooks = { before = ${before}, after = ["sh", "-c", "echo thaw >> '${log}'"], timeout = "5s" }`;
    const daemon = await started(place, mock('a', `every = "200ms"\n${hooks}`));
    await daemon.until('a', (machine) => machine.checkpoints >= 2);
    await writeFile(hang, '');
    const failed = await daemon.until('a', (machine) => machine.failures >= 1);
    expect(failed.lastProblem?.message).toMatch(/hook before the checkpoint of a took longer than 5000 ms/);
    await rm(hang);
    await daemon.until('a', (machine) => machine.checkpoints >= failed.checkpoints + 1);
    expect(await daemon.kill('SIGTERM')).toBe(0);
    const lines = (await readFile(log, 'utf8')).trim().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(8);
    lines.forEach((line, index) => expect(line).toBe(index % 2 === 0 ? 'freeze' : 'thaw'));
  });

  test('with pruning and verification by the clock', LONG, async ({ place }) => {
    const rules = 'every = "100ms"\nretention = { keep-last = 3 }\nprune-every = "1s"\nverify-every = "1s"';
    const daemon = await started(place, mock('a', rules));
    const done = (kind: string) =>
      daemon.event((event) =>
        event.type === 'job' && event.job.kind === kind && event.job.endedAt ? event.job : undefined,
      );
    const [prune, verify] = await Promise.all([done('prune'), done('verify')]);
    expect(prune).toMatchObject({ state: 'done', subject: 'a' });
    expect(verify).toMatchObject({ state: 'done', result: { findings: [] } });
    expect((await daemon.machine('a')).lastVerifiedAt).toBeDefined();
  });
});
