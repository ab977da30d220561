import { spawn, type ChildProcess } from 'node:child_process';
import { FitdocError } from '@fitdoc/interface';

export interface Hooks {
  readonly before?: readonly string[] | undefined;
  readonly after?: readonly string[] | undefined;
  /** Milliseconds. */
  readonly timeout: number;
}

export interface HookContext {
  readonly machine: string;
  readonly location: string;
}

export interface HookOptions {
  /** Ends a `before` that is under way. An `after` always gets its time. */
  readonly signal: AbortSignal;
  readonly onAfterFailed: (error: FitdocError) => void;
}

/** Milliseconds between the polite signal and the one that cannot be ignored: meanwhile a guest stands frozen. */
const KILL_AFTER_MS = 2000;
const STDERR_KEPT = 2000;

/**
 * Runs `work` between the hooks. A `before` that fails or takes too long cancels it; `after` runs in every case,
 * also when `before` failed half-way, because what was frozen must be thawed.
 */
export async function withHooks<Result>(
  hooks: Hooks | undefined,
  context: HookContext,
  work: () => Promise<Result>,
  options: HookOptions,
): Promise<Result> {
  if (!hooks) return work();
  try {
    if (hooks.before) await runHook('before', hooks.before, hooks.timeout, context, options.signal);
    return await work();
  } finally {
    if (hooks.after) {
      await runHook('after', hooks.after, hooks.timeout, context).catch(options.onAfterFailed);
    }
  }
}

async function runHook(
  kind: 'before' | 'after',
  command: readonly string[],
  timeout: number,
  { machine, location }: HookContext,
  signal?: AbortSignal,
): Promise<void> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, {
    // A group of its own, so that what the hook started ends with it.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, FITDOC_MACHINE: machine, FITDOC_LOCATION: location, FITDOC_HOOK: kind },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  const why = await outcome(child, timeout, signal);
  // Something that the hook left behind may hold the pipe open.
  child.stderr.destroy();
  if (why === undefined) return;
  throw new FitdocError('CAPTURE_FAILED', `The hook ${kind} the checkpoint of ${machine} ${why}.`, {
    retryable: true,
    hint: kind === 'before' ? 'No checkpoint was taken.' : 'Look whether the guest is still frozen.',
    details: { command: file, stderr },
  });
}

/** Why the hook failed; undefined when it did not. Its end is awaited, whatever ended it. */
function outcome(child: ChildProcess, timeout: number, signal?: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    let reason: string | undefined;
    const timers: NodeJS.Timeout[] = [];
    const end = (why: string): void => {
      reason ??= why;
      killGroup(child, 'SIGTERM');
      timers.push(setTimeout(() => killGroup(child, 'SIGKILL'), KILL_AFTER_MS));
    };
    const onAbort = (): void => end('was cancelled');
    const settle = (why: string | undefined): void => {
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve(why);
    };
    timers.push(setTimeout(() => end(`took longer than ${timeout} ms`), timeout));
    child.once('error', (error) => settle(`could not be started: ${error.message}`));
    child.once('exit', (code, name) => {
      if (reason !== undefined) killGroup(child, 'SIGKILL');
      settle(reason ?? (code === 0 ? undefined : `ended with ${name ?? `exit code ${code}`}`));
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended by itself.
  }
}
