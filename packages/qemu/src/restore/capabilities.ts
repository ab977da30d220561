import { setTimeout as sleep } from 'node:timers/promises';
import { isFitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import {
  readSettings,
  restoreCapabilities,
  setCapabilities,
  type MigrationSettings,
} from '../session/settings.js';
import { ANSWER_MS } from './failures.js';

/**
 * Loads with every capability off but those named, as their streams are others than ours, and puts them back: libvirt
 * relies on one. `work` is given them as they were. `known`: how QEMU is set, where that was just asked.
 */
export async function withCapabilities<Result>(
  qmp: QmpClient,
  on: readonly string[],
  signal: AbortSignal | undefined,
  work: (found: MigrationSettings) => Promise<Result>,
  known?: MigrationSettings,
): Promise<Result> {
  const settings = known ?? (await readSettings(qmp, signal));
  await setCapabilities(qmp, settings.capabilities, on);
  try {
    const result = await work(settings);
    await restoreCapabilities(qmp, settings);
    return result;
  } catch (error) {
    // Whose guest runs already keeps them until it has all: with postcopy off, a broken connection ends it for good.
    if (isFitdocError(error) && error.details['running'] === true) throw error;
    // A QEMU that still waits may be given another checkpoint, by anyone. One that stands answers nothing.
    const restored = restoreCapabilities(qmp, settings).catch(() => undefined);
    if (!qmp.closed.aborted) await Promise.race([restored, sleep(ANSWER_MS)]);
    throw error;
  }
}
