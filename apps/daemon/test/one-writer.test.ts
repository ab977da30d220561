import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { mock, Running, type Place } from './support/daemon.js';
import { test } from './support/test.js';

const LONG = { timeout: 180_000 };

/** A second daemon beside the first, with a state of its own and the same repository. */
async function second(place: Place): Promise<Running> {
  const text = await readFile(place.file('fitdocd.toml'), 'utf8');
  const other = text.replaceAll(place.socket, place.file('e.sock')).replace('/state"', '/state-2"');
  await writeFile(place.file('second.toml'), other);
  const child = place.spawn(['run', '--config', place.file('second.toml')]);
  return new Running(child, place.file('e.sock')).ready();
}

describe.concurrent('of two daemons that protect guests of one identity', () => {
  test('one is refused, and follows when the other is gone', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const first = await place.start().ready();
    await first.until('a', (machine) => machine.checkpoints >= 2);
    const other = await second(place);
    const waiting = await other.until('a', (machine) => !!machine.lastProblem);
    expect(waiting).toMatchObject({ checkpoints: 0, lastProblem: { code: 'MACHINE_CONFLICT' } });
    expect(waiting.lastProblem?.message).toContain(`fitdocd (process ${first.child.pid} on `);
    const before = await first.timeline('a');
    expect(before.filter(({ kind }) => kind === 'base')).toHaveLength(1);
    await first.kill('SIGKILL');
    await other.request('/v1/machines/a/resume', { method: 'POST' });
    await other.until('a', (machine) => machine.checkpoints >= 2);
    const timeline = await other.timeline('a');
    timeline.slice(1).forEach((entry, index) => expect(entry.parent).toBe(timeline[index]?.id));
  });

  test('a restart is no second: it goes on at once', LONG, async ({ place }) => {
    await place.configure(mock('a'));
    const first = await place.start().ready();
    await first.until('a', (machine) => machine.checkpoints >= 2);
    await first.kill('SIGKILL');
    const again = await place.start().ready();
    await again.until('a', (machine) => machine.checkpoints >= 1);
    expect(again.log.filter(({ problem }) => problem)).toEqual([]);
  });
});
