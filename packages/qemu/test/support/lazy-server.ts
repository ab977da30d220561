import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import type { RandomCheckpoint } from './random.js';
import type { TestGuest } from './real.js';

/** Writes a checkpoint down for a process of its own to serve. */
export async function writeDown(checkpoint: RandomCheckpoint, file: string): Promise<void> {
  const { info, deviceState, kept, random } = checkpoint;
  await writeFile(file, serialize({ info, deviceState, kept, stored: random.stored }));
}

export interface Serving {
  readonly file: string;
  /** At which read of pages it dies; 0: never. */
  readonly dieAt: number;
  readonly delayMs: number;
  readonly verb: 'restore' | 'resume';
}

/** Serves a checkpoint from another process; gives the signal that ended it, or null. */
export async function serveElsewhere(
  target: TestGuest,
  { file, dieAt, delayMs, verb }: Serving,
): Promise<string | null> {
  const program = fileURLToPath(new URL('./lazy-server.mjs', import.meta.url));
  const args = [program, target.qmpPath, file, String(dieAt), String(delayMs), verb];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return signal;
}
