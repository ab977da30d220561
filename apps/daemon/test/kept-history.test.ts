import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import type { MachineStatus } from '../src/model.js';
import type { Place, Running } from './support/daemon.js';
import { test } from './support/test.js';

const LONG = { timeout: 300_000 };
const FITDOC = fileURLToPath(new URL('../../cli/dist/main.js', import.meta.url));
const run = promisify(execFile);

async function fitdoc<Answer>(place: Place, ...args: string[]): Promise<Answer> {
  const all = [FITDOC, ...args, '--store', place.repository, '--json'];
  return JSON.parse((await run(process.execPath, all, { maxBuffer: 2 ** 26 })).stdout) as Answer;
}

async function listed(place: Place): Promise<number> {
  return (await fitdoc<{ checkpoints: unknown[] }>(place, 'list', '--machine', 'm')).checkpoints.length;
}

async function metric(daemon: Running, series: string): Promise<number> {
  const { text } = await daemon.request('/metrics');
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.split(' ')[1]);
}

async function stored(daemon: Running): Promise<number> {
  const [repository] = await daemon.get<{ bytes: number }[]>('/v1/repositories');
  return repository?.bytes ?? NaN;
}

/** No checkpoint is under way or comes. */
async function quiet(daemon: Running): Promise<MachineStatus> {
  await daemon.request('/v1/machines/m/suspend', { method: 'POST' });
  return daemon.until('m', ({ state }) => state === 'suspended');
}

describe('a machine with ten checkpoints to keep, twenty a second', () => {
  test('stays within its policy, and all that is said of it is right', LONG, async ({ place }) => {
    await place.configure(`
[machines.m]
location = "mock:m?memory=64M&workload=kv"
repository = "local"
every = "50ms"
retention = { keep-last = 10 }
prune-every = "5s"
`);
    const daemon = await place.start().ready();
    await daemon.until('m', ({ checkpoints }) => checkpoints >= 400);
    await quiet(daemon);
    const bytes = await stored(daemon);
    expect(await daemon.job('/v1/machines/m/prune')).toMatchObject({ state: 'done' });
    const { history, restorePoints, checkpoints } = await daemon.machine('m');
    if (!history) throw new Error('The daemon says nothing of the history.');

    // Level: before the prune what is stored was near what the policy needs, however much was captured. Two and a half
    // times is what the first hours of a history may take: short cuts lie beside what they will replace.
    const needed = await stored(daemon);
    expect(bytes).toBeLessThan(needed * 2.5);
    expect(needed).toBeLessThan(history.capturedBytes / 2);
    expect(history.freedBytes).toBeGreaterThan(history.capturedBytes / 2);
    expect(history.mergedBytes).toBeLessThan(history.capturedBytes * 1.5);

    // The number of restore points has come down to what the policy keeps, and some that are not worth a removal.
    expect(history).toMatchObject({ keptPoints: 10, keptBy: [{ rule: 'last', points: 10 }] });
    expect(restorePoints).toBe(await listed(place));
    expect(restorePoints).toBe(10 + history.surplusPoints);
    expect(restorePoints).toBeLessThan(checkpoints / 4);
    expect(history.reachedAgeMs).toBeLessThan(60_000);

    const info = await fitdoc<{ restore_objects: number }>(place, 'info', 'latest', '--machine', 'm');
    expect(history.pathObjects).toBe(info.restore_objects);
    expect(history.worstPathObjects).toBeLessThanOrEqual(64);
    expect(history).toMatchObject({ lagObjects: 0, lagSeconds: 0 });
    const values = {
      fitdoc_restore_points: restorePoints,
      fitdoc_history_surplus_points: history.surplusPoints,
      fitdoc_history_path_objects: history.pathObjects,
      fitdoc_history_worst_path_objects: history.worstPathObjects,
      fitdoc_history_freed_bytes_total: history.freedBytes,
      fitdoc_history_merged_bytes_total: history.mergedBytes,
      fitdoc_history_captured_bytes_total: history.capturedBytes,
    };
    for (const [name, value] of Object.entries(values))
      expect([name, await metric(daemon, `${name}{vm="m"}`)]).toEqual([name, value]);
    expect(await metric(daemon, 'fitdoc_history_kept_points{vm="m",rule="last"}')).toBe(10);

    const { stdout } = await run(process.execPath, [FITDOC, 'status', 'm', '--daemon', place.socket]);
    expect(stdout).toMatch(/^kept +10: last 10$/m);
    expect(stdout).toMatch(/^freed +[\d.]+ MiB, /m);
    expect(stdout).toMatch(/^merged +\d+ times; [01]\.\d\d bytes written for each byte captured$/m);
  });

  test('and its count is right at every commit and every removal', LONG, async ({ place }) => {
    await place.configure(`
[machines.m]
location = "mock:m?memory=8M&resident=1M&working=512K"
repository = "local"
every = "1h"
merge = false
retention = { keep-last = 2 }
`);
    const daemon = await place.start().ready();
    for (let taken = 1; taken <= 5; taken++) {
      await daemon.until(
        'm',
        ({ checkpoints, restorePoints }) => checkpoints >= taken && restorePoints !== undefined,
      );
      if (taken < 5) await daemon.job('/v1/machines/m/checkpoint');
      expect(await metric(daemon, 'fitdoc_restore_points{vm="m"}')).toBe(Math.min(5, taken + 1));
    }
    // Nothing can go without merging.
    await daemon.job('/v1/machines/m/prune');
    expect(await metric(daemon, 'fitdoc_restore_points{vm="m"}')).toBe(5);
    await daemon.kill('SIGTERM');
    const again = await place.start().ready();
    const counted = await again.until(
      'm',
      ({ checkpoints, restorePoints }) => checkpoints >= 1 && restorePoints !== undefined,
    );
    expect(counted.restorePoints).toBe(6);
    expect(await listed(place)).toBe(6);
  });
});
