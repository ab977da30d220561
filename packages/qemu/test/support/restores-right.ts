import { expect } from 'vitest';
import { hypervisor } from './hypervisor.js';
import type { KeptCheckpoint } from './oracle.js';
import { readHeartbeats, twin, waitForHeartbeats, type TestGuest } from './real.js';

/** The restored guest beats on, and every beat is as the guest's own knowledge of its memory says. */
export async function restoresRight(guest: TestGuest, kept: KeptCheckpoint): Promise<void> {
  const target = await twin(guest);
  await hypervisor.restore(target.qmpPath, kept);
  const names = [...new Set((await readHeartbeats(guest.serialPath)).map(({ name }) => name))];
  const beats = await waitForHeartbeats(target.serialPath, (found) =>
    names.every((name) => found.filter((beat) => beat.name === name).length >= 2),
  );
  expect(beats.filter(({ intact }) => !intact)).toEqual([]);
  await target.stop();
}
