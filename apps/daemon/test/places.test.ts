import { once } from 'node:events';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { mock } from './support/daemon.js';
import { test } from './support/test.js';

const LONG = { timeout: 180_000 };

describe.concurrent('fitdocd', () => {
  test(
    'makes no second repository where its own is missing, and goes on when it is back',
    LONG,
    async ({ place }) => {
      await place.configure(mock('a'));
      const [here, away] = [place.file('repository'), place.file('away')];
      const first = await place.start().ready();
      await first.until('a', ({ checkpoints }) => checkpoints >= 2);
      await first.kill('SIGTERM');
      // As a file system that is not mounted: an empty directory.
      await rename(here, away);
      await mkdir(here);
      const daemon = await place.start().ready();
      const waiting = await daemon.until('a', ({ lastProblem }) => lastProblem !== undefined);
      expect(waiting.lastProblem).toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(waiting.lastProblem?.message).toMatch(/is no longer at/);
      expect(await readdir(here)).toEqual([]);
      await rename(here, place.file('empty'));
      await rename(away, here);
      const { lastCheckpoint } = await daemon.until('a', ({ checkpoints }) => checkpoints >= 1);
      expect(lastCheckpoint?.kind).toBe('increment');
      // Taken away under the running daemon, and brought back.
      await rename(here, away);
      await daemon.until('a', ({ lastProblem }) => lastProblem?.code === 'STORE_UNAVAILABLE');
      await rename(away, here);
      const before = (await daemon.machine('a')).checkpoints;
      await daemon.until('a', ({ checkpoints }) => checkpoints > before);
      expect(await daemon.kill('SIGTERM')).toBe(0);
    },
  );

  test('refuses another repository at its place unless its id is given', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const [here, other] = [place.file('repository'), place.file('other')];
    const first = await place.start().ready();
    await first.until('a', ({ checkpoints }) => checkpoints >= 1);
    await first.kill('SIGTERM');
    await rename(here, other);
    await place.configure(mock('b'));
    const state = place.file('state');
    await rename(state, place.file('old-state'));
    const second = await place.start().ready();
    await second.until('b', ({ checkpoints }) => checkpoints >= 1);
    await second.kill('SIGTERM');
    // The first daemon's memory, the second one's repository.
    await rename(state, place.file('new-state'));
    await rename(place.file('old-state'), state);
    await place.configure(mock('a'));
    const daemon = await place.start().ready();
    const { lastProblem } = await daemon.until('a', (machine) => machine.lastProblem !== undefined);
    expect(lastProblem?.message).toMatch(/^Another repository/);
    const id = /write id = "([^"]+)"/.exec(lastProblem?.hint ?? '')?.[1];
    expect(await readdir(`${here}/machines`)).toEqual(['b']);
    await place.configure(mock('a').replace('[machines.a]', `id = "${id}"\n[machines.a]`));
    daemon.child.kill('SIGHUP');
    await daemon.until('a', ({ checkpoints }) => checkpoints >= 1);
    expect(await daemon.kill('SIGTERM')).toBe(0);
  });

  test('protects on while nobody reads its log, and when its reader has gone', LONG, async ({ place }) => {
    await place.configure(mock('a'), 'log-level = "trace"');
    const stuck = place.start();
    await stuck.ready();
    stuck.child.stderr?.pause();
    await stuck.until('a', ({ checkpoints }) => checkpoints >= 5);
    stuck.child.stderr?.destroy();
    const before = (await stuck.machine('a')).checkpoints;
    stuck.child.kill('SIGHUP');
    await stuck.until('a', ({ checkpoints }) => checkpoints >= before + 5);
    stuck.child.kill('SIGTERM');
    expect(await once(stuck.child, 'exit')).toEqual([0, null]);
  });

  test('keeps what it writes to itself', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const daemon = await place.start().ready();
    await daemon.until('a', ({ checkpoints }) => checkpoints >= 1);
    const modes = await Promise.all(
      ['state', 'state/state.json', 'repository', 'repository/machines', 'd.sock'].map(async (name) =>
        ((await stat(place.file(name))).mode & 0o7777).toString(8),
      ),
    );
    expect(modes).toEqual(['700', '600', '700', '700', '600']);
    await daemon.kill('SIGTERM');
  });
});
