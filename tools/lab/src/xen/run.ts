import { spawnSync } from 'node:child_process';

/** Runs a program to its end; gives its output. Throws with the last lines of its stderr. */
export function run(
  program: string,
  parameters: readonly string[],
  options: { cwd?: string; input?: Uint8Array } = {},
) {
  const result = spawnSync(program, parameters, { ...options, maxBuffer: 2 ** 30 });
  if (result.error) throw new Error(`${program} cannot be run: ${result.error.message}`);
  if (result.status !== 0) {
    const tail = result.stderr.toString().split('\n').slice(-8).join('\n');
    throw new Error(`${program} ${parameters.slice(0, 3).join(' ')} ended with ${result.status}: ${tail}`);
  }
  return result.stdout;
}

/** Whether a program is there to be run. */
export function hasProgram(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}
