import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  abortError,
  FitdocError,
  isFitdocError,
  throwIfAborted,
  type Launched,
  type Launcher,
  type LaunchOptions,
  type MachineInfo,
} from '@fitdoc/interface';
import { isAlive } from './alive.js';
import { compose, type Composed } from './compose.js';
import { startKept, type KeptProcess } from './process.js';
import { StartedQemu } from './started.js';

/** Between two looks for the socket of a QEMU that was started, milliseconds. */
const LOOK_MS = 10;
/** The kernel's flags of a socket that accepts connections. */
const ACCEPTS = '00010000';
/** What QEMU says, by version, of back-ends that it was built without. */
const NO_USER_NETWORK = /backend (type )?['"]?(user['"]? is|\(maybe it is) not compiled into this binary/;

/** Starts QEMUs that wait for a restore. */
export const launcher: Launcher = Object.freeze({ launch });

async function launch(info: MachineInfo, options: LaunchOptions): Promise<Launched> {
  const { directory, signal } = options;
  throwIfAborted(signal);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const composed = await compose(info, options);
  const kept = await startKept(composed.words, directory, composed.directory);
  try {
    await whenListening(composed, kept, signal);
    return StartedQemu.of(composed, kept);
  } catch (error) {
    const log = await kept.log();
    await kept.end();
    throw isFitdocError(error, 'ABORTED') ? error : notStarted(error, composed, log);
  }
}

async function whenListening({ qmp }: Composed, { pid }: KeptProcess, signal?: AbortSignal): Promise<void> {
  while (!(await isListening(qmp, pid))) {
    if (signal?.aborted) throw abortError(signal);
    if (!isAlive(pid)) throw new Error('it ended at once');
    await sleep(LOOK_MS);
  }
}

/** Its file is there a moment before anybody can connect. The process may have a network, and so a list, of its own. */
async function isListening(socket: string, pid: number): Promise<boolean> {
  if (!existsSync(socket)) return false;
  const sockets = await readFile(`/proc/${pid}/net/unix`, 'utf8').catch(() => undefined);
  if (sockets === undefined) return true;
  return sockets.split('\n').some((line) => line.endsWith(` ${socket}`) && line.split(' ')[3] === ACCEPTS);
}

function notStarted(cause: unknown, { words, reached }: Composed, log: string): FitdocError {
  const said = log.trim().split('\n').slice(-5).join('\n');
  if (reached !== undefined && NO_USER_NETWORK.test(log))
    return new FitdocError('CAPABILITY_MISSING', `Port ${reached} cannot be reached: ${said}`, {
      cause,
      hint: 'This QEMU was built without its user network (slirp). Try the guest by its console or by its agent.',
    });
  return new FitdocError('RESTORE_FAILED', `QEMU could not be started${said === '' ? '' : `: ${said}`}`, {
    cause,
    hint: 'Change what it does not take with options behind --; details.command has all of it.',
    details: { command: [...words], log: said },
  });
}
