import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestGuest } from './real.js';

/** A process of its own that is attached to a guest. */
export interface Holder {
  readonly child: ChildProcess;
  readonly guardPid: number;
  /** Has it do something; gives what it said until it was done. */
  ask(what: 'capture' | 'detach' | 'guard' | 'leave'): Promise<string[]>;
  kill(): Promise<void>;
}

/** Starts one; resolves when it has taken its first captures. `wrap`: a command that starts it. */
export async function hold(
  guest: TestGuest,
  guarded = true,
  wrap: readonly string[] = [],
  bufferBytes?: number,
): Promise<Holder> {
  const program = fileURLToPath(new URL('./holder.mjs', import.meta.url));
  const mode = guest.options.accel === 'tcg' ? 'colo' : 'auto';
  const own = [
    process.execPath,
    program,
    guest.qmpPath,
    mode,
    guarded ? 'guard' : 'alone',
    `${bufferBytes ?? ''}`,
  ];
  const [file = '', ...args] = [...wrap, ...own];
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const result: IteratorResult<unknown> = await lines.next();
    if (result.done === true) throw new Error('the holder has ended');
    return String(result.value);
  };
  const guardPid = Number((await next()).split(' ')[1]);
  return {
    child,
    guardPid,
    ask: async (what) => {
      child.stdin.write(`${what}\n`);
      const said: string[] = [];
      for (;;) {
        const line = await next();
        if (line === `done ${what}`) return said;
        said.push(line);
        if (what === 'guard') return said;
      }
    },
    kill: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}
