import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';

/**
 * Of a shell: starts a program in the background, tells its process id, and waits, at a descriptor of its own: for a
 * word, or for the end, which is that of the process at the other side by whatever death. At `release` it lets go of the
 * program. Else it ends it and, without a word, removes its directory. Until it has waited for it, no other process gets
 * that number.
 */
const KEEP = `keep() {
  slot=$1 directory=$2 place=$3; shift 3
  (
    for other in 3 4 5 6 7 8 9; do [ $other = $slot ] || eval "exec $other<&-"; done
    eval "exec <&$slot >&$slot $slot<&-"
    cd "$place" || exit 1
    TMPDIR=$directory "$@" </dev/null >>"$directory/qemu.log" 2>&1 &
    program=$!
    echo $program
    read -r word
    [ "$word" = release ] && exit 0
    kill -KILL $program 2>/dev/null
    wait $program 2>/dev/null
    [ "$word" = end ] || rm -rf "$directory"
  ) &
  eval "exec $slot<&-"
}
`;

/** Descriptors that a shell can name by one digit, but for the standard ones. */
const SLOTS = [3, 4, 5, 6, 7, 8, 9] as const;

export interface Program {
  readonly words: readonly string[];
  /** Is there, and has the log: `qemu.log`. */
  readonly directory: string;
  /** Where it is started. */
  readonly place: string;
}

/**
 * Starts a program under a keeper, and gives the connection to that: it tells the process id in a line, takes a word,
 * and closes when the keeper has ended. It closes without a line where nothing could be started.
 */
export function keep(program: Program): Socket {
  current = current?.hasRoom() ? current : new Nursery();
  return current.keep(program);
}

/** That of the programs that are started now. */
let current: Nursery | undefined;

/** A shell that starts keepers: a process of Node's takes milliseconds to be copied for each that it starts, a shell less. */
class Nursery {
  readonly #shell: ChildProcess;
  readonly #environment = { ...process.env };
  readonly #free: Socket[];
  #used = 0;

  constructor() {
    this.#shell = spawn('/bin/sh', ['-s'], {
      // A Ctrl-C at our terminal is for us to answer.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore', ...SLOTS.map(() => 'pipe' as const)],
      env: this.#environment,
    });
    this.#shell.on('error', () => this.#retire());
    this.#shell.on('exit', () => this.#retire());
    this.#shell.stdin!.on('error', () => undefined);
    // Node's types end at the fifth.
    const stdio: readonly unknown[] = this.#shell.stdio;
    this.#free = SLOTS.map((slot) => stdio[slot] as Socket);
    for (const socket of this.#free) socket.unref().on('error', () => undefined);
    this.#shell.stdin!.write(KEEP);
    this.#shell.unref();
  }

  /** What was started later than the environment changed must see that. */
  hasRoom(): boolean {
    const [now, then] = [process.env, this.#environment];
    const names = Object.keys(now);
    const same = names.length === Object.keys(then).length && names.every((name) => now[name] === then[name]);
    return same && this.#free.length > 0;
  }

  keep({ words, directory, place }: Program): Socket {
    const slot = SLOTS[SLOTS.length - this.#free.length]!;
    const socket = this.#free.shift()!.ref();
    this.#used++;
    socket.once('close', () => {
      if (--this.#used === 0) this.#retire();
    });
    const command = ['keep', String(slot), ...[directory, place, ...words].map(quoted)].join(' ');
    this.#shell.stdin!.write(`${command}\n`);
    if (this.#free.length === 0) this.#retire();
    return socket;
  }

  /** No more are started; the shell waits for its keepers, as nobody else may. */
  #retire(): void {
    if (current === this) current = undefined;
    for (const socket of this.#free.splice(0)) socket.destroy();
    this.#shell.stdin!.end('wait\n');
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
