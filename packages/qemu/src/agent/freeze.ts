import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError } from '@fitdoc/interface';
import { GuestAgent } from './agent.js';

/** How long an agent may take to answer at all, milliseconds. */
const ANSWER_MS = 5000;
const THAW_MS = 10_000;
const TRIES = 3;
const BETWEEN_MS = 200;
/** For how long it is tried again where nobody waits for it, and the longest wait in between. */
const KEEP_TRYING_MS = 3_600_000;
const LONGEST_MS = 10_000;

/**
 * Freezes a guest's file systems through its agent, and leaves its channel to others. `before` is called when that is
 * about to be asked: from then on somebody has to thaw them, also where this fails.
 * Errors: CAPABILITY_MISSING (no agent that answers, or it refuses), MACHINE_BUSY (frozen already), ABORTED.
 */
export async function freezeFileSystems(
  path: string,
  timeoutMs: number,
  before: () => void,
  signal?: AbortSignal,
): Promise<void> {
  const agent = await GuestAgent.open(path, Math.min(ANSWER_MS, timeoutMs), signal);
  try {
    const options = { timeoutMs, signal };
    if ((await agent.execute<string>('guest-fsfreeze-status', options)) === 'frozen') throw frozenAlready();
    before();
    await agent.execute<number>('guest-fsfreeze-freeze', options);
  } finally {
    agent.close();
  }
}

/**
 * Thaws them; trying again, as nothing in the guest can write until it is done. What was asked for is not cancelled.
 * Errors: CAPABILITY_MISSING, ABORTED.
 */
export async function thawFileSystems(path: string, signal?: AbortSignal): Promise<void> {
  for (let left = TRIES; ; left--) {
    try {
      const agent = await GuestAgent.open(path, ANSWER_MS, signal);
      try {
        await agent.execute<number>('guest-fsfreeze-thaw', { timeoutMs: THAW_MS });
        return;
      } finally {
        agent.close();
      }
    } catch (error) {
      if (left <= 1 || signal?.aborted) throw error;
      await sleep(BETWEEN_MS);
    }
  }
}

/**
 * Thaws them, however long a guest that stands, or an agent that still freezes, does not answer: until it is done or
 * `signal` says that it is not wanted any more, while there is a QEMU, for an hour.
 */
export async function keepThawing(path: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + KEEP_TRYING_MS;
  for (let waitMs = BETWEEN_MS; !signal.aborted && performance.now() < deadline; waitMs *= 2) {
    const over = await thawFileSystems(path, signal).then(() => true, isGone);
    if (over) return;
    await sleep(Math.min(waitMs, LONGEST_MS), undefined, { signal }).catch(() => undefined);
  }
}

/** Nobody is at the socket, or there is none: QEMU has ended, and its guest with it. */
function isGone(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === 'ENOENT' || cause?.code === 'ECONNREFUSED';
}

function frozenAlready(): FitdocError {
  return new FitdocError('MACHINE_BUSY', "The guest's file systems are frozen already, by somebody else.", {
    hint: 'Wait until they are thawed (guest-fsfreeze-thaw): whoever froze them is to do it.',
    retryable: true,
  });
}
