import type { RestoreSource } from '@fitdoc/interface';
import { recordedFeatures } from '../machine/cpu-flags.js';
import { describe } from '../machine/describe.js';
import { readDrives } from '../machine/disks.js';
import type { Connected, QmpClient } from '../qmp/client.js';
import { migrationState } from '../session/release.js';
import { sameVersion } from './check-devices.js';
import { checkDisks } from './check-disks.js';
import { checkTarget, knownTypes, readBlocks } from './check.js';
import { notWaiting } from './failures.js';
import { diskNotes, guestNotes } from './notes.js';
import type { RestoreConfig } from './options.js';
import { checkRamFile, mainRam } from './ram-file.js';

/**
 * Asks a QEMU whether it waits and can become what the checkpoint is, and gives what people should know of it. It
 * changes nothing. Errors: MACHINE_BUSY (it does not wait), MACHINE_INCOMPATIBLE.
 */
export async function examine(
  { client, version }: Connected,
  source: RestoreSource,
  { disks, ramFile }: RestoreConfig,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const { info } = source;
  const { guest } = await migrationState(client, signal);
  if (guest !== 'inmigrate') throw notWaiting(guest);
  const [target, blocks, generationId] = await Promise.all([
    describe(client, version, recordedFeatures(info.platform), signal),
    readBlocks(client, signal),
    hasGenerationId(client, signal),
  ]);
  const other = !sameVersion(version.text, info.platform['qemuVersion']);
  const types = other ? await knownTypes(client, info, target, signal) : undefined;
  const differing = checkTarget(info, { ...target, blocks, types });
  if (source.disks && source.disks.length > 0)
    await checkDisks(source.disks, (await readDrives(client, signal)).disks, disks);
  if (ramFile !== undefined) await checkRamFile(client, ramFile, mainRam(source), signal);
  const { uuid } = target;
  return [...differing, ...diskNotes(info, source.disks), ...guestNotes(info, { uuid, generationId })];
}

async function hasGenerationId(qmp: QmpClient, signal: AbortSignal | undefined): Promise<boolean> {
  return qmp.execute('query-vm-generation-id', {}, { signal }).then(
    () => true,
    () => false,
  );
}
