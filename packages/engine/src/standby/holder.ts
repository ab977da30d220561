import { randomBytes } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError, throwIfAborted, type CallOptions } from '@fitdoc/interface';
import { isDead, thisProcess, type LockOwner } from '@fitdoc/repository';
import { writeWhole } from '../export/partial-file.js';
import { thisBoot } from './journal.js';

/** Milliseconds that a follower is waited for that was asked to end, and between two looks. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 10;
/** Between two looks of a follower, where the file system does not tell it of who wants to promote. */
const WATCH_MS = 500;

type Purpose = 'follow' | 'promote';

interface Holding {
  readonly file: string;
  readonly owner: LockOwner;
  readonly purpose: Purpose;
}

/**
 * Makes this process the only one that works in a standby's directory, until the function that it gives is called. Each
 * first says that it is there and then looks for others, so of two at least one sees the other and gives way. A follower of
 * this host gives way to who promotes (`whenWanted`). MACHINE_BUSY, which names the other.
 */
export async function holdDirectory(
  directory: string,
  purpose: Purpose,
  { signal }: CallOptions = {},
): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = path.join(directory, `holder-${randomBytes(8).toString('hex')}.json`);
  const owner = thisProcess();
  await writeWhole(file, {}, (handle) => handle.writeFile(JSON.stringify({ owner, purpose })));
  const release = (): Promise<void> => rm(file, { force: true });
  try {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      throwIfAborted(signal);
      const [other] = (await holdings(directory)).filter((each) => each.file !== file);
      if (!other) return release;
      // Of two that promote at once one goes on: it waits until the other has given way.
      const first = other.purpose === 'promote' && other.file < file;
      if (purpose === 'follow' || first || performance.now() > deadline) throw busy(directory, other);
      // Of another host nobody knows whether it looks.
      if (other.purpose === 'follow' && !isNear(other)) throw busy(directory, other);
      await sleep(LOOK_MS);
    }
  } catch (error) {
    await release();
    throw error;
  }
}

/** Whether somebody waits to start the machine from the directory. */
export async function isWanted(directory: string): Promise<boolean> {
  return (await holdings(directory)).some(({ purpose }) => purpose === 'promote');
}

/** Calls `wanted` when somebody waits to start the machine from the directory, soon after; until what it gives is called. */
export function whenWanted(directory: string, wanted: () => void): () => void {
  const look = (): void =>
    void isWanted(directory).then(
      (is) => is && wanted(),
      () => undefined,
    );
  const timer = setInterval(look, WATCH_MS);
  const watcher = watching(directory, (name) => {
    if (name === null || name.startsWith('holder-')) look();
  });
  look();
  return () => {
    clearInterval(timer);
    watcher?.close();
  };
}

/** Undefined where the host has no more of them; the timer has to do then. */
function watching(directory: string, changed: (name: string | null) => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, (_event, name) => changed(name));
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}

/** Those that live; what dead ones left is removed. */
async function holdings(directory: string): Promise<Holding[]> {
  const found: Holding[] = [];
  for (const name of await readdir(directory)) {
    if (!/^holder-[0-9a-f]{16}\.json$/.test(name)) continue;
    const file = path.join(directory, name);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const { owner, purpose } = JSON.parse(text) as Omit<Holding, 'file'>;
    if (isDead(owner) || isOfFormerBoot(owner)) await rm(file, { force: true });
    else found.push({ file, owner, purpose });
  }
  return found;
}

/** Whether the host was started anew since: what held the directory when its power failed is no more. */
function isOfFormerBoot({ host, scope }: LockOwner): boolean {
  const boot = thisBoot();
  return boot !== undefined && scope !== '' && host === hostname() && !scope.startsWith(`${boot}:`);
}

function isNear({ owner }: Holding): boolean {
  return owner.scope !== '' && owner.scope === thisProcess().scope;
}

function busy(directory: string, { file, owner, purpose }: Holding): FitdocError {
  const does = purpose === 'follow' ? 'follows a machine in' : 'promotes the standby of';
  return new FitdocError('MACHINE_BUSY', `Process ${owner.pid} on ${owner.host} ${does} ${directory}.`, {
    retryable: true,
    hint: `End it first, or name another directory. If it is on another host and has ended, remove ${file}.`,
    details: { pid: owner.pid, host: owner.host, purpose },
  });
}
