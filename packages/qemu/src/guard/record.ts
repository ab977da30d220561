import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { begunAt } from '../native/processes.js';
import type { QmpClient } from '../qmp/client.js';
import { originalSettings, type MigrationSettings } from '../session/settings.js';

/** What whoever comes after us must know of an attachment that nobody ended: how QEMU was set before it. */
export interface AttachmentRecord {
  readonly version: 1;
  /** Whoever wrote it; another's record means that another is attached. */
  readonly owner: string;
  /** The attachment is to a guest that stands, which nothing of ours is to run. */
  readonly standing?: boolean;
  readonly settings: MigrationSettings;
}

/** A record and the file it is in; none where it could not be written. */
export interface KeptRecord {
  readonly record: AttachmentRecord;
  readonly file: string | undefined;
}

/** Where records are: lost with the host's start, as the processes are that they speak of. */
export function recordDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env['RUNTIME_DIRECTORY']?.split(':')[0];
  if (runtime) return runtime;
  if (process.getuid?.() === 0) return '/run/fitdoc';
  const own = env['XDG_RUNTIME_DIR'];
  return own ? join(own, 'fitdoc') : join(tmpdir(), `fitdoc-${process.getuid?.() ?? 'user'}`);
}

/**
 * Writes down QEMU's settings before an attachment changes them. Where an earlier attachment was not ended, what it
 * changed is taken from its record: it would otherwise pass for the operator's.
 */
export async function keepRecord(
  qmp: QmpClient,
  current: MigrationSettings,
  { directory = recordDirectory(), standing = false }: { directory?: string; standing?: boolean } = {},
): Promise<KeptRecord> {
  const file = await recordFile(qmp, directory);
  const before = file === undefined ? undefined : await readRecord(file);
  const settings = before === undefined ? current : originalSettings(current, before.settings);
  const record = { version: 1, owner: randomUUID(), ...(standing && { standing }), settings } as const;
  try {
    if (file !== undefined) await writeRecord(file, record);
    return { record, file };
  } catch {
    return { record, file: undefined };
  }
}

/** Removes a record when QEMU is set as it says, unless somebody else has attached since. */
export async function endRecord({ record, file }: KeptRecord): Promise<void> {
  if (file !== undefined && (await readRecord(file))?.owner === record.owner) await rm(file, { force: true });
}

/** Whether somebody else has attached since, to whom the machine now belongs. */
export async function isSuperseded({ record, file }: KeptRecord): Promise<boolean> {
  const found = file === undefined ? undefined : await readRecord(file);
  return found !== undefined && found.owner !== record.owner;
}

async function readRecord(file: string): Promise<AttachmentRecord | undefined> {
  try {
    const found = JSON.parse(await readFile(file, 'utf8')) as Partial<AttachmentRecord>;
    return found.version === 1 && found.settings !== undefined && typeof found.owner === 'string'
      ? (found as AttachmentRecord)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Writes a record whole or not at all, and removes those of QEMUs that have ended. */
export async function writeRecord(file: string, record: object): Promise<void> {
  const directory = dirname(file);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, JSON.stringify(record), { mode: 0o600 });
  await rename(temporary, file);
  await removeEnded(directory).catch(() => undefined);
}

/**
 * Named after the thread of the first CPU, which QEMU tells and no other process has, and its start, which tells
 * it from an earlier thread of that number; and after our process ids' name space, as others may share the directory.
 * Undefined where that thread is in a name space out of our sight.
 */
export async function recordFile(
  qmp: QmpClient,
  directory: string,
  kind: 'qemu' | 'served' = 'qemu',
): Promise<string | undefined> {
  const cpus = await qmp.execute<readonly { 'thread-id'?: number }[]>('query-cpus-fast');
  const thread = cpus[0]?.['thread-id'];
  if (thread === undefined) return undefined;
  const start = await begunAt(thread).catch(() => undefined);
  return start && join(directory, `${kind}-${await nameSpace()}-${thread}-${start}.json`);
}

/** The temporary file of a writer that was killed begins so, too. */
const NAME = /^(?:qemu|served)-(\d+)-(\d+)-(\d+)\.json/;

async function removeEnded(directory: string): Promise<void> {
  const ours = await nameSpace();
  for (const name of await readdir(directory)) {
    const [, space, thread, start] = NAME.exec(name) ?? [];
    if (space !== ours || (await begunAt(Number(thread)).catch(() => undefined)) === start) continue;
    await rm(join(directory, name), { force: true });
  }
}

/** That of our process ids, by its number. */
async function nameSpace(): Promise<string> {
  const found = await readlink('/proc/self/ns/pid').catch(() => '');
  return /\d+/.exec(found)?.[0] ?? '0';
}
