import { execFile } from 'node:child_process';
import path from 'node:path';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. A program that cannot be started rejects. */
export function run(program: string, args: readonly string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(new Error(error.message, { cause: error }));
      else resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

/** Runs a script of an installed package with the running Node, without npx's lookup. */
export function runScript(
  root: string,
  script: string,
  args: readonly string[],
  cwd = root,
): Promise<Outcome> {
  return run(process.execPath, [path.join(root, 'node_modules', script), ...args], cwd);
}

/** The lines of a text that are not blank. */
export function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== '');
}
