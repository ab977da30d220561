import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const COMMAND = fileURLToPath(new URL('../dist/main.js', import.meta.url));

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the built command as a user would. */
export function fitdoc(...args: string[]): Promise<Outcome> {
  return runAs({}, args);
}

/** Runs it in an environment with more in it. */
export function fitdocIn(more: Readonly<Record<string, string>>, ...args: string[]): Promise<Outcome> {
  return runAs({}, args, more);
}

/** Runs it as another user: only root may. */
export function fitdocAs(
  user: { readonly uid: number; readonly gid: number },
  ...args: string[]
): Promise<Outcome> {
  return runAs(user, args);
}

function runAs(
  options: { readonly uid?: number; readonly gid?: number },
  args: string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, FITDOC_STORE: '', ...more };
    const all = { ...options, env, maxBuffer: 2 ** 26 };
    execFile(process.execPath, [COMMAND, ...args], all, (error, out, err) => {
      const code = typeof error?.code === 'number' ? error.code : error ? 1 : 0;
      resolve({ code, out, err });
    });
  });
}

export function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

export type Message = Record<string, unknown> & { readonly message_type?: string };

/** The lines of JSON Lines output. */
export function messages({ out }: Outcome): Message[] {
  return out
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Message);
}

export async function folder(): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const made = await mkdtemp(path.join(tmpdir(), 'fitdoc-cli-'));
  return { path: made, remove: () => rm(made, { recursive: true, force: true }) };
}
