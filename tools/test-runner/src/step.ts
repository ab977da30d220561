import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

export interface StepResult {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly log: string;
}

/** Lines of a failed step's log that are shown; the file has the rest. */
const TAIL_LINES = 60;

/**
 * Runs a command, in the repository's root or in `folder`, with its output in a log file, and prints one line about
 * it, or its tail when it failed.
 */
export async function runStep(
  root: string,
  name: string,
  command: readonly string[],
  folder = root,
): Promise<StepResult> {
  const reports = path.join(root, '.reports');
  await mkdir(reports, { recursive: true });
  const log = path.join(reports, `${name.replaceAll(/[^a-z0-9-]+/gi, '-')}.log`);
  const started = performance.now();
  process.stdout.write(`- ${name} ...\n`);
  const code = await run(folder, command, log);
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  process.stdout.write(`  ${code === 0 ? 'ok' : 'FAILED'} ${name} (${seconds} s)\n`);
  if (code !== 0) process.stdout.write(`${await tail(log)}\n  whole log: ${path.relative(root, log)}\n`);
  return { name, ok: code === 0, seconds, log };
}

function run(folder: string, command: readonly string[], log: string): Promise<number> {
  const [file = '', ...args] = command;
  const output = createWriteStream(log);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: folder,
      env: { ...process.env, FORCE_COLOR: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    child.on('error', reject);
    child.on('close', (code) => output.end(() => resolve(code ?? 1)));
  });
}

async function tail(log: string): Promise<string> {
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  return lines
    .slice(-TAIL_LINES)
    .map((line) => `    ${line}`)
    .join('\n');
}
