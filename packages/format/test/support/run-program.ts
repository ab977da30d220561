import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Runs a program with Node, as a module inside this package, and gives what it prints. */
export function runProgram(source: string, ...args: readonly string[]): string {
  const reports = fileURLToPath(new URL('../../.reports/', import.meta.url));
  mkdirSync(reports, { recursive: true });
  const directory = mkdtempSync(path.join(reports, 'program-'));
  try {
    const file = path.join(directory, 'program.mjs');
    writeFileSync(file, source);
    return execFileSync(process.execPath, [file, ...args], { encoding: 'utf8', stdio: 'pipe' });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
