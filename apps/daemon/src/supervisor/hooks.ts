import { execa } from 'execa';
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

/**
 * Runs `work` between the hooks. A `before` that fails or takes too long cancels it; `after` runs in every case,
 * also when `before` failed half-way, because what was frozen must be thawed.
 */
export async function withHooks<Result>(
  hooks: Hooks | undefined,
  context: HookContext,
  work: () => Promise<Result>,
  onAfterFailed: (error: FitdocError) => void,
): Promise<Result> {
  if (!hooks) return work();
  try {
    if (hooks.before) await runHook('before', hooks.before, hooks.timeout, context);
    return await work();
  } finally {
    if (hooks.after) await runHook('after', hooks.after, hooks.timeout, context).catch(onAfterFailed);
  }
}

async function runHook(kind: 'before' | 'after', command: readonly string[], timeout: number, context: HookContext): Promise<void> {
  const [file = '', ...args] = command;
  const result = await execa(file, args, {
    timeout,
    // A hook that ignores the polite signal would hold the machine frozen.
    forceKillAfterDelay: 2000,
    reject: false,
    stdin: 'ignore',
    env: { FITDOC_MACHINE: context.machine, FITDOC_LOCATION: context.location, FITDOC_HOOK: kind },
  });
  if (!result.failed) return;
  const why = result.timedOut ? `took longer than ${timeout} ms` : (result.shortMessage ?? 'failed');
  throw new FitdocError('CAPTURE_FAILED', `The hook ${kind} the checkpoint of ${context.machine} failed: ${why}`, {
    retryable: true,
    hint: kind === 'before' ? 'No checkpoint was taken.' : 'Look whether the guest is still frozen.',
    details: { exitCode: result.exitCode ?? null, stderr: String(result.stderr ?? '').slice(-2000) },
  });
}
