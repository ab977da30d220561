import type { Socket } from 'node:net';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { keep } from './nursery.js';

/** A program that runs for as long as this process, unless it is released. */
export interface KeptProcess {
  readonly pid: number;
  /** What it wrote to its outputs. */
  log(): Promise<string>;
  release(): Promise<void>;
  /** Ends it, and removes its directory. */
  end(): Promise<void>;
}

/** `cwd`: where it is started; default: where this process is. A `pid` of 0: it could not be started. */
export async function startKept(
  words: readonly string[],
  directory: string,
  cwd: string | undefined,
): Promise<KeptProcess> {
  // Made here, so that nothing but the program can fail to be started.
  await (await open(join(directory, 'qemu.log'), 'a', 0o600)).close();
  const keeper = keep({ words, directory, place: cwd ?? process.cwd() });
  const over = new Promise<void>((resolve) => void keeper.once('close', () => resolve()));
  const pid = await firstLine(keeper, over);
  keeper.resume();
  const finish = (word: 'release' | 'end'): Promise<void> => {
    if (!keeper.writableEnded) keeper.end(`${word}\n`);
    return over;
  };
  return {
    pid,
    log: () => readFile(join(directory, 'qemu.log'), 'utf8').catch(() => ''),
    release: () => finish('release'),
    end: async () => {
      await finish('end');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function firstLine(keeper: Socket, over: Promise<void>): Promise<number> {
  const lines = createInterface({ input: keeper });
  const line = await Promise.race([
    new Promise<string>((resolve) => lines.once('line', resolve)),
    over.then(() => ''),
  ]);
  lines.close();
  return Number(line);
}
