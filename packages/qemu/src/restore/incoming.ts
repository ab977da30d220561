import { type RestoreOptions, type RestoreReport, type RestoreSource } from '@fitdoc/interface';
import { probe, type Probed } from '../postcopy/probe.js';
import { loadLazily } from '../postcopy/restore.js';
import type { Door } from '../door.js';
import type { QmpClient } from '../qmp/client.js';
import { examine } from './examine.js';
import { failure, notLazily, whyBroken } from './failures.js';
import { canKeep, keepStream } from './kept-stream.js';
import { loadFully } from './load.js';
import type { RestoreConfig } from './options.js';
import { mainRam } from './ram-file.js';
import { sharedOf, type Shared } from './shared.js';
import { thawOf } from './thaw.js';

/** Restores into a QEMU that was started with `-incoming defer`, through its QMP. */
export async function restoreIncoming(
  door: Door,
  location: string,
  source: RestoreSource,
  config: RestoreConfig,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { signal } = options;
  const shared = sharedOf(options.alike);
  if (options.alike) shareStream(shared, source, config, options);
  const connected = await door.connect(location, { signal, outOfBand: true });
  const { client } = connected;
  try {
    const noted = await (shared.examined ??= examine(connected, source, config, signal));
    const thaw = await thawOf(client, door, source.deviceState, signal);
    const onRunning = (state: 'running' | 'paused'): void => {
      thaw.begin(state);
      options.onRunning?.(state);
    };
    const probed = await lazily(client, source, config, options);
    const loaded =
      probed !== undefined && 'blocks' in probed
        ? await loadLazily(connected, source, probed, config, { ...options, onRunning })
        : await loadFully(connected, source, config, options, shared);
    thaw.begin(loaded.state);
    const notes = [
      ...(probed !== undefined && 'reason' in probed ? [notLazy(probed.reason)] : []),
      ...noted,
      ...(await thaw.notes()),
    ];
    return { ...loaded, notes };
  } catch (error) {
    throw failure(await whyBroken(error, client), client, signal);
  } finally {
    client.close();
  }
}

/** Begins to make the stream of what is not in the file of memory that all of them map. */
function shareStream(
  shared: Shared,
  source: RestoreSource,
  { ramFile }: RestoreConfig,
  { signal }: RestoreOptions,
): void {
  const main = mainRam(source);
  if (ramFile === undefined || shared.stream || !canKeep(source, main)) return;
  shared.stream = keepStream(source, main, { ...(signal && { signal }) });
  // It may fail before anybody waits for it.
  shared.stream.catch(() => undefined);
}

/** Whether the guest can and may run before its memory is there, where that is wanted. MACHINE_INCOMPATIBLE. */
async function lazily(
  qmp: QmpClient,
  source: RestoreSource,
  { lazy, ramFile }: RestoreConfig,
  { signal, beforeLazy }: RestoreOptions,
): Promise<Probed | undefined> {
  if (lazy === false || ramFile !== undefined) return undefined;
  const probed = await probe(qmp, source, signal);
  const reason = 'reason' in probed ? probed.reason : await beforeLazy?.();
  if (reason === undefined) return probed;
  if (lazy === true) throw notLazily(reason);
  return { reason };
}

function notLazy(reason: string): string {
  return `All of the memory was loaded before the guest ran: ${reason}.`;
}
