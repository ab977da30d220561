import { setTimeout as sleep } from 'node:timers/promises';
import { FitdocError, throwIfAborted } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { isMigrating, migrationState } from '../session/release.js';
import type { Conversation } from './conversation.js';

/** Milliseconds between two questions for a state. */
const ASK_MS = 5;

/** Watches for the moment in which the guest runs, or could: a QEMU started with -S only says so when asked. */
export function whenRunning(qmp: QmpClient): {
  wait(
    conversation: Conversation,
    signal: AbortSignal,
  ): Promise<{ state: 'running' | 'paused'; atMs: number }>;
  forget(): void;
} {
  let forget = (): void => undefined;
  const resumed = new Promise<{ state: 'running'; atMs: number }>((resolve) => {
    forget = qmp.onEvent(({ name }) => {
      if (name === 'RESUME') resolve({ state: 'running', atMs: performance.now() });
    });
  });
  return {
    // QEMU's main loop may itself wait for a page, and answer late.
    wait: (conversation, signal) => Promise.race([resumed, askUntilRunning(qmp, conversation, signal)]),
    forget: () => forget(),
  };
}

async function askUntilRunning(
  qmp: QmpClient,
  conversation: Conversation,
  signal: AbortSignal,
): Promise<{ state: 'running' | 'paused'; atMs: number }> {
  for (;;) {
    throwIfAborted(conversation.ended);
    const { status } = await qmp.execute<{ status: string }>('query-status', {}, { signal });
    if (status !== 'inmigrate')
      return { state: status === 'running' ? 'running' : 'paused', atMs: performance.now() };
    await sleep(ASK_MS);
  }
}

/** Waits until QEMU says that the postcopy is over. */
export async function whenCompleted(qmp: QmpClient, signal: AbortSignal): Promise<void> {
  for (;;) {
    const state = await migrationState(qmp, signal);
    if (state.migration === 'failed') throw failed(state.errorText);
    if (!isMigrating(state)) return;
    await sleep(ASK_MS);
  }
}

/** The guest runs: QEMU is not ended, as one is that could not load. */
function failed(reason = 'see its log'): FitdocError {
  return new FitdocError('RESTORE_FAILED', `QEMU got all of its memory and says that it failed: ${reason}.`, {
    hint: 'The guest is as QEMU left it. If it does not run, start QEMU again and restore again.',
    details: { running: true },
  });
}

export async function guestState(qmp: QmpClient, signal: AbortSignal): Promise<'running' | 'paused'> {
  const { status } = await qmp.execute<{ status: string }>('query-status', {}, { signal });
  return status === 'running' ? 'running' : 'paused';
}
