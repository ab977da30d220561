import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { FitdocError, type RestoreSource } from '@fitdoc/interface';
import { recordDirectory, recordFile, writeRecord } from '../guard/record.js';
import type { QmpClient } from '../qmp/client.js';
import type { MigrationSettings } from '../session/settings.js';

/** What a process that goes on with a restore must know of the one that began it. */
interface ServedRecord extends Pick<MigrationSettings, 'capabilities'> {
  readonly version: 1;
  /** Which checkpoint it is. */
  readonly checkpoint: string;
}

/**
 * Writes down which checkpoint a QEMU gets its memory from, as pages of another would be taken without a word, and the
 * capabilities that it had before. Gives the file; undefined where it could not be written.
 */
export async function keepServed(
  qmp: QmpClient,
  source: RestoreSource,
  { capabilities }: Pick<MigrationSettings, 'capabilities'>,
): Promise<string | undefined> {
  const file = await recordFile(qmp, recordDirectory(), 'served');
  if (file === undefined) return undefined;
  const record: ServedRecord = { version: 1, checkpoint: fingerprint(source), capabilities };
  return writeRecord(file, record).then(
    () => file,
    () => undefined,
  );
}

export async function endServed(file: string | undefined): Promise<void> {
  if (file !== undefined) await rm(file, { force: true });
}

/**
 * MACHINE_INCOMPATIBLE when a QEMU was begun with another checkpoint. Gives the record's file, and the capabilities that
 * QEMU had before, where there is a record.
 */
export async function checkServed(
  qmp: QmpClient,
  source: RestoreSource,
): Promise<{ file: string | undefined; before?: Pick<MigrationSettings, 'capabilities'> }> {
  const file = await recordFile(qmp, recordDirectory(), 'served');
  const text = file === undefined ? undefined : await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return { file };
  const before = parsed(text);
  if (before?.checkpoint === fingerprint(source)) return { file, before };
  throw new FitdocError('MACHINE_INCOMPATIBLE', 'This guest was begun with another checkpoint.', {
    hint: 'Its memory can only go on from the checkpoint that it was restored from: name that one.',
  });
}

function parsed(text: string): ServedRecord | undefined {
  try {
    return JSON.parse(text) as ServedRecord;
  } catch {
    return undefined;
  }
}

/** No two checkpoints have the same device state: clocks and counters are in it. */
function fingerprint({ deviceState }: RestoreSource): string {
  const hash = createHash('sha256');
  for (const { name, bytes } of deviceState) hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  return hash.digest('hex');
}
