import { randomBytes } from 'node:crypto';
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

type Purpose = 'follow' | 'promote';

interface Holding {
  readonly file: string;
  readonly owner: LockOwner;
  readonly purpose: Purpose;
}

/**
 * Makes this process the only one that works in a standby's directory, until the function that it gives is called. Each
 * first says that it is there and then looks for others, so of two at least one sees the other and gives way. Who promotes
 * ends a follower of this host. MACHINE_BUSY, which names the other.
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
    const asked = new Set<string>();
    for (;;) {
      throwIfAborted(signal);
      const [other] = (await holdings(directory)).filter((each) => each.file !== file);
      if (!other) return release;
      // Of two that promote at once one goes on: it waits until the other has given way.
      const first = other.purpose === 'promote' && other.file < file;
      if (purpose === 'follow' || first || performance.now() > deadline) throw busy(directory, other);
      if (other.purpose === 'follow' && !asked.has(other.file)) end(other, directory);
      asked.add(other.file);
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

function end(other: Holding, directory: string): void {
  // Its number may be another process's where its host is not ours, or cannot be told.
  if (other.owner.scope === '' || other.owner.scope !== thisProcess().scope) throw busy(directory, other);
  if (other.owner.pid === process.pid) throw busy(directory, other);
  try {
    process.kill(other.owner.pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw busy(directory, other);
  }
}

function busy(directory: string, { file, owner, purpose }: Holding): FitdocError {
  const does = purpose === 'follow' ? 'follows a machine in' : 'promotes the standby of';
  return new FitdocError('MACHINE_BUSY', `Process ${owner.pid} on ${owner.host} ${does} ${directory}.`, {
    retryable: true,
    hint: `End it first, or name another directory. If it is on another host and has ended, remove ${file}.`,
    details: { pid: owner.pid, host: owner.host, purpose },
  });
}
