import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { mock } from './support/daemon.js';
import { test } from './support/test.js';

const COMMAND = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const run = promisify(execFile);

/** Runs a line of bash in which `$F` is the command and `$C` names the configuration. */
async function bash(line: string, config: string): Promise<{ out: string; err: string }> {
  const env = { ...process.env, F: COMMAND, N: process.execPath, C: config };
  const { stdout, stderr } = await run('bash', ['-c', line], { env });
  return { out: stdout, err: stderr };
}

test('the end of a pipe is no error of a command that prints, help among them', async ({ place }) => {
  const config = await place.configure(mock('m'));
  const each = 'for c in --help --version "check --config $C"';
  const { out, err } = await bash(`${each}; do "$N" "$F" $c | true; echo "\${PIPESTATUS[0]}"; done`, config);
  expect(err).toBe('');
  expect(out).toMatch(/^((0|141)\n){3}$/);
});

test('a full device is told of', async ({ place }) => {
  const config = await place.configure(mock('m'));
  const line = '"$N" "$F" --help > /dev/full; echo $?; "$N" "$F" check --config "$C" > /dev/full; echo $?';
  const { out, err } = await bash(line, config);
  expect(out).toBe('1\n1\n');
  expect(err).toMatch(/^(fitdocd: the results cannot be written: ENOSPC.*\n){2}$/);
});

test('a daemon whose outputs nobody reads any more protects on', { timeout: 180_000 }, async ({ place }) => {
  await place.configure(mock('m'));
  const daemon = await place.start().ready();
  daemon.child.stdout!.destroy();
  daemon.child.stderr!.destroy();
  const { checkpoints } = await daemon.until('m', () => true);
  await daemon.until('m', (machine) => machine.checkpoints >= checkpoints + 3);
  expect(daemon.child.exitCode).toBeNull();
});
