import type { DeviceState } from '@fitdoc/interface';
import type { OpenLink } from './replay.js';

/**
 * The device state as of the last of `links`. A state that is stored as a delta needs the one before it, and
 * so on down to one that is stored whole.
 */
export function readDeviceState(links: readonly OpenLink[]): Promise<DeviceState[]> {
  const link = links.at(-1);
  if (!link) return Promise.resolve([]);
  return link.reader.readDeviceState(() => readDeviceState(links.slice(0, -1)));
}
