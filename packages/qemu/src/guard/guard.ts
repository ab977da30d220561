import { spawn, type ChildProcess } from 'node:child_process';
import type { Frozen } from '../agent/frozen.js';
import type { GuardMessage } from './messages.js';
import { LOOK_EVERY_MS, type OpenStream } from './stalled.js';

/** Milliseconds after which a guard counts as one that lasts, and longest wait before it is replaced. */
const LASTS_MS = 10_000;
const LONGEST_WAIT_MS = 5000;

export interface Guarded {
  /** What is read of it from now on; undefined: nothing. */
  reads(stream: OpenStream | undefined): void;
  /** Which of the guest's file systems are to be thawed, should we not do it. */
  freezes(frozen: Frozen | undefined): void;
  /** The attachment was ended: there is nothing left to do. */
  end(): void;
  /** The attachment ends with COLO pending: the guard ends it as soon as the guest runs. */
  leave(): void;
}

/** Guards by their programs; there is one for each, while it has machines to guard. */
const guards = new Map<string, Guard>();

/** Has a machine guarded by the program that reaches it. */
export function guard(program: string, machine: Omit<GuardMessage, 'type' | 'stream'>): Guarded {
  const found = guards.get(program) ?? new Guard(program);
  guards.set(program, found);
  return found.watch(machine);
}

/** Process id of a guard, while there is one. */
export function guardPid(): number | undefined {
  return [...guards.values()].find(({ pid }) => pid !== undefined)?.pid;
}

/**
 * A process of its own that outlives this one and, should this one die, resumes the guests it was attached
 * to and puts QEMU's settings back: QEMU frees a monitor socket the moment its client dies, so the guard can then
 * take it. One serves all machines of this process; it ends with the last of them. One that is killed is replaced.
 */
class Guard {
  private child: ChildProcess | undefined;
  private readonly guarded = new Map<object, GuardMessage>();
  /** Guards that were started since the last that lasted. */
  private replaced = 0;

  constructor(private readonly program: string) {}

  get pid(): number | undefined {
    return this.child?.pid;
  }

  watch(machine: Omit<GuardMessage, 'type' | 'stream' | 'frozen'>): Guarded {
    const key = {};
    let now: Pick<GuardMessage, 'stream' | 'frozen'> = {};
    const add = (changed: typeof now = {}): void => {
      now = { ...now, ...changed };
      const message: GuardMessage = { type: 'guard', ...machine, ...now };
      this.guarded.set(key, message);
      if (this.child === undefined) this.start();
      else this.tell(message);
    };
    add();
    const end = (type: 'end' | 'leave'): void => {
      if (!this.guarded.delete(key)) return;
      this.tell({ type, ...machine });
      if (this.guarded.size > 0) return;
      this.child?.stdin?.end();
      this.child = undefined;
    };
    return {
      reads: (stream) => {
        if (this.guarded.has(key)) add({ stream });
      },
      freezes: (frozen) => {
        if (this.guarded.has(key)) add({ frozen });
      },
      end: () => end('end'),
      leave: () => end('leave'),
    };
  }

  private start(): void {
    const begun = performance.now();
    const child = spawn(process.execPath, [this.program], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.child = child;
    // The pipe to a guard that is killed must not take this process down.
    child.stdin.on('error', () => undefined);
    const lost = (): void => {
      if (this.child !== child) return;
      this.child = undefined;
      this.replaced = performance.now() - begun > LASTS_MS ? 0 : this.replaced + 1;
      // At once; later only where guards keep dying.
      const waitMs = this.replaced <= 1 ? 0 : Math.min(LONGEST_WAIT_MS, 100 * 2 ** this.replaced);
      setTimeout(() => {
        if (this.child === undefined && this.guarded.size > 0) this.start();
      }, waitMs).unref();
    };
    // A guard that hears nothing looks after what is being read.
    const beating = setInterval(() => child.stdin.write('\n'), LOOK_EVERY_MS).unref();
    child.on('exit', () => clearInterval(beating));
    child.on('error', lost);
    child.on('exit', lost);
    child.unref();
    (child.stdin as unknown as { unref(): void }).unref();
    for (const message of this.guarded.values()) this.tell(message);
  }

  private tell(message: GuardMessage): void {
    this.child?.stdin?.write(`${JSON.stringify(message)}\n`);
  }
}
