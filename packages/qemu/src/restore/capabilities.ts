import { setTimeout as sleep } from 'node:timers/promises';
import { isFitdocError } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { isOn, restoreCapabilities, setCapabilities, type Capabilities } from '../session/settings.js';
import { ANSWER_MS } from './failures.js';

/**
 * Loads with every capability off but those named, as their streams are others than ours, and puts them back as they
 * were `found`: libvirt relies on one.
 */
export async function withCapabilities<Result>(
  qmp: QmpClient,
  on: readonly string[],
  found: Capabilities,
  work: () => Promise<Result>,
): Promise<Result> {
  const changes = found.some(({ capability, state }) => state !== on.includes(capability));
  if (!changes && on.every((name) => isOn(found, name))) return work();
  await setCapabilities(qmp, found, on);
  try {
    const result = await work();
    await restoreCapabilities(qmp, found);
    return result;
  } catch (error) {
    // Whose guest runs already keeps them until it has all: with postcopy off, a broken connection ends it for good.
    if (isFitdocError(error) && error.details['running'] === true) throw error;
    // A QEMU that still waits may be given another checkpoint, by anyone. One that stands answers nothing.
    const restored = restoreCapabilities(qmp, found).catch(() => undefined);
    if (!qmp.closed.aborted) await Promise.race([restored, sleep(ANSWER_MS)]);
    throw error;
  }
}
