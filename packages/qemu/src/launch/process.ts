import { spawn } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * Starts a program in the background, tells its process id, and waits: for the word to let go of it, or for the end of
 * its own input, which is that of this process by whatever death. Then it ends the program and removes its directory.
 * Until it has waited for it, no other process gets that number.
 */
const KEEPER = `directory=$1; shift
"$@" </dev/null >>"$directory/qemu.log" 2>&1 &
program=$!
echo $program
read word
[ "$word" = release ] && exit 0
kill -KILL $program 2>/dev/null
wait $program 2>/dev/null
rm -rf "$directory"`;

/** A program that runs for as long as this process, unless it is released. */
export interface KeptProcess {
  readonly pid: number;
  /** What it wrote to its outputs. */
  log(): Promise<string>;
  release(): Promise<void>;
  /** Ends it, and removes its directory. */
  end(): Promise<void>;
}

export async function startKept(
  words: readonly string[],
  directory: string,
  cwd: string | undefined,
): Promise<KeptProcess> {
  // Made here, so that nothing but the program can fail to be started.
  await (await open(join(directory, 'qemu.log'), 'a', 0o600)).close();
  const keeper = spawn('/bin/sh', ['-c', KEEPER, 'fitdoc-keeper', directory, ...words], {
    cwd,
    // A Ctrl-C at our terminal is for us to answer.
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, TMPDIR: directory },
  });
  const over = new Promise<void>((resolve) => {
    keeper.once('close', () => resolve());
    keeper.once('error', () => resolve());
  });
  keeper.stdin.on('error', () => undefined);
  const pid = await firstLine(keeper.stdout, over);
  let ending: Promise<void> | undefined;
  const finish = (word: string): Promise<void> => {
    ending ??= (async () => {
      keeper.stdin.end(word);
      // The program has our end of the pipe for its output where it was released.
      keeper.stdout.destroy();
      await new Promise<void>((resolve) => {
        if (keeper.exitCode !== null || keeper.signalCode !== null) resolve();
        else keeper.once('exit', () => resolve());
      });
    })();
    return ending;
  };
  return {
    pid,
    log: () => readFile(join(directory, 'qemu.log'), 'utf8').catch(() => ''),
    release: () => finish('release\n'),
    end: async () => {
      await finish('');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function firstLine(stream: NodeJS.ReadableStream, over: Promise<void>): Promise<number> {
  const lines = createInterface({ input: stream });
  const line = await Promise.race([
    new Promise<string>((resolve) => lines.once('line', resolve)),
    over.then(() => ''),
  ]);
  lines.close();
  return Number(line);
}
