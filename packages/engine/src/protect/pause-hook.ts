import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { FitdocError, type PauseTask } from '@fitdoc/interface';

/** A command that runs while the guest stands: one that makes a snapshot of its disks, say. */
export interface PauseHook {
  readonly command: readonly string[];
  /** Milliseconds after which the guest goes on, whatever the command is doing; at most MAX_HOOK_MS. */
  readonly timeoutMs: number;
  /** When it fails, or takes longer: there is no checkpoint, or a note with it. */
  readonly onFailure: 'fail' | 'note';
  /** For its environment, beside this process's. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What became of a hook. */
export interface PauseHookOutcome {
  /** Milliseconds from its word until the guest could go on. */
  readonly ms: number;
  /** What it printed. */
  readonly output: string;
  /** Why it failed; absent when it did not. */
  readonly failure?: string;
}

/** Longest that a guest may stand for a hook. */
export const MAX_HOOK_MS = 60_000;
/** Characters of its output that a checkpoint has room for. */
const OUTPUT_KEPT = 2000;
const READY_MS = 10_000;
/** After its end: until the output has come of what it left behind holds the pipe open. */
const OUTPUT_MS = 500;
/** Between the polite signal and the one that cannot be ignored; and until a process that heeds neither is let be. */
const KILL_AFTER_MS = 2000;

/** Finds the command, says that it is ready, and becomes the command at a word; without one it ends. */
const WAITING =
  'command -v -- "$1" >/dev/null || exit 127; echo >&3; exec 3>&-; read -r word && exec "$@" </dev/null';

/** Errors: ARGUMENT_INVALID. */
export function checkPauseHook({ command, timeoutMs }: PauseHook): void {
  if (command.length > 0 && timeoutMs > 0 && timeoutMs <= MAX_HOOK_MS) return;
  throw new FitdocError('ARGUMENT_INVALID', 'A pause hook is a command and the time it has.', {
    hint: `The guest stands meanwhile: at most ${MAX_HOOK_MS} ms.`,
  });
}

/**
 * A hook whose process was started, has found its command and waits for a word: within the pause it only has to become
 * that command. Should this process die, it ends without having done anything.
 */
export class ReadyHook implements PauseTask {
  readonly timeoutMs: number;
  private output = '';
  private errors = '';
  private beganMs: number | undefined;
  private ms = 0;
  private failure: string | undefined;
  private over = false;
  private readonly exited: Promise<string | undefined>;
  private readonly closed: Promise<void>;

  private constructor(
    private readonly child: ChildProcess,
    { timeoutMs }: PauseHook,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.timeoutMs = timeoutMs;
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      child.once('exit', (code, name) => {
        this.over = true;
        resolve(code === 0 ? undefined : `ended with ${name ?? `exit code ${code}`}`);
      });
    });
    this.closed = new Promise((resolve) => child.once('close', () => resolve()));
    child.stdin?.on('error', () => undefined);
    const keep = (from: Readable | null, take: (text: string) => void): void =>
      void from?.setEncoding('utf8').on('data', take);
    keep(child.stdout, (text) => (this.output = (this.output + text).slice(0, 4 * OUTPUT_KEPT)));
    keep(child.stderr, (text) => (this.errors = (this.errors + text).slice(-OUTPUT_KEPT)));
  }

  /** Starts it. Errors: CAPTURE_FAILED (no such command, or it was not ready in time). */
  static async start(
    hook: PauseHook,
    env: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<ReadyHook> {
    const child = spawn('/bin/sh', ['-c', WAITING, 'pause-hook', ...hook.command], {
      // A group of its own, so that what the hook started ends with it.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...hook.env, ...env, FITDOC_HOOK: 'pause' },
    });
    const ready = new ReadyHook(child, hook, signal);
    const why = await ready.ready();
    if (why === undefined) return ready;
    await ready.end();
    throw new FitdocError('CAPTURE_FAILED', `The pause hook ${why}.`, {
      hint: 'Nothing was asked of the guest. The first word of the hook must be a command that is found.',
      retryable: true,
      details: { command: hook.command[0], stderr: ready.errors },
    });
  }

  async run(): Promise<void> {
    this.beganMs = performance.now();
    (this.child.stdin as Writable).end('\n');
    const why = await this.within(this.timeoutMs, this.exited, `took longer than ${this.timeoutMs} ms`);
    this.ms = performance.now() - this.beganMs;
    this.failure = why;
    // Its end is nothing that the guest waits for.
    if (why !== undefined) this.kill('SIGTERM');
  }

  /** How it went; to be asked when the guest runs. */
  async outcome(): Promise<PauseHookOutcome> {
    if (this.beganMs === undefined) return { ms: 0, output: '', failure: 'was not run' };
    if (this.failure === undefined) await within(OUTPUT_MS, this.closed, undefined);
    const { ms, failure } = this;
    const said = failure === undefined ? '' : plain(this.errors).split('\n').at(-1)!;
    const because = said === '' ? '' : ` (${said})`;
    const output = plain(this.output).slice(0, OUTPUT_KEPT);
    return { ms, output, ...(failure !== undefined && { failure: `${failure}${because}` }) };
  }

  /** Ends a hook that was not run, or did not end in its time. What one that succeeded left running is its own. */
  async end(): Promise<void> {
    // It may hold these pipes for as long as it likes, and this process is not to live on for it.
    for (const pipe of [this.child.stdout, this.child.stderr]) (pipe as Socket | null)?.unref();
    if (this.over) return;
    this.kill('SIGTERM');
    if (await this.isOver()) return;
    this.kill('SIGKILL');
    await this.isOver();
  }

  private async isOver(): Promise<boolean> {
    return within(
      KILL_AFTER_MS,
      this.exited.then(() => true),
      false,
    );
  }

  private async ready(): Promise<string | undefined> {
    const told = new Promise<undefined>((resolve) => {
      (this.child.stdio[3] as Readable).once('data', () => resolve(undefined));
    });
    const either = Promise.race([told, this.exited.then((why) => why ?? 'ended before its word')]);
    return this.within(READY_MS, either, `was not ready within ${READY_MS} ms`);
  }

  /** As `within`, and no longer than until the capture is cancelled. */
  private async within(
    ms: number,
    call: Promise<string | undefined>,
    late: string,
  ): Promise<string | undefined> {
    const { signal } = this;
    let cancel = (): void => undefined;
    const cancelled = new Promise<string>((resolve) => (cancel = () => resolve('was cancelled')));
    if (signal?.aborted) return 'was cancelled';
    signal?.addEventListener('abort', cancel, { once: true });
    const settled = await within(ms, Promise.race([call, cancelled]), late);
    signal?.removeEventListener('abort', cancel);
    return settled;
  }

  private kill(signal: NodeJS.Signals): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, signal);
    } catch {
      // The group has ended by itself.
    }
  }
}

async function within<Value>(ms: number, call: Promise<Value>, late: Value): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Value>((resolve) => (timer = setTimeout(() => resolve(late), ms)));
  return Promise.race([call, timeout]).finally(() => clearTimeout(timer));
}

/** Text as it may go to a terminal: lines of printable characters. */
function plain(text: string): string {
  return text.replaceAll(/[^\P{C}\n]/gu, '').trim();
}
