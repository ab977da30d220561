import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * A process of its own that outlives this one and, should this one die, resumes the guests it was attached
 * to: QEMU frees a monitor socket the moment its client dies, so the guard can then take it. One serves all
 * machines of this process; it ends with the last of them.
 */
let process_: ChildProcess | undefined;
const guarded = new Map<string, number>();

/** Has the machine at `path` guarded until the returned function is called. */
export function guard(path: string): () => void {
  process_ ??= start();
  guarded.set(path, (guarded.get(path) ?? 0) + 1);
  tell('+', path);
  let released = false;
  return () => {
    if (released) return;
    released = true;
    const left = (guarded.get(path) ?? 1) - 1;
    if (left > 0) {
      guarded.set(path, left);
      return;
    }
    guarded.delete(path);
    tell('-', path);
    if (guarded.size > 0) return;
    process_?.stdin?.end();
    process_ = undefined;
  };
}

/** Process id of the guard, while there is one. */
export function guardPid(): number | undefined {
  return process_?.pid;
}

function start(): ChildProcess {
  const child = spawn(process.execPath, [guardProgram()], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // A guard that is killed is replaced at the next attachment; the pipe to it must not take this process down.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.on('exit', () => {
    if (process_ === child) process_ = undefined;
  });
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}

function guardProgram(): string {
  for (const relative of ['./guard.js', '../../dist/guard.js']) {
    const path = fileURLToPath(new URL(relative, import.meta.url));
    if (existsSync(path)) return path;
  }
  return fileURLToPath(new URL('./guard.js', import.meta.url));
}

function tell(sign: string, path: string): void {
  process_?.stdin?.write(`${sign}${JSON.stringify(path)}\n`);
}
