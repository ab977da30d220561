// npm run demo [-- --kvm]: builds the command, then tells the main job.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { demoWithGuest } from './guest.js';

const root = path.resolve(import.meta.dirname, '../../..');

function run(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

async function main(args: readonly string[]): Promise<number> {
  const built = await run('npx', [
    'turbo',
    'run',
    'build',
    '--filter=@fitdoc/cli',
    '--output-logs=errors-only',
    '--log-order=grouped',
  ]);
  if (built !== 0) return built;
  const command = path.join(root, 'apps/cli/dist/main.js');
  if (args.includes('--kvm')) return demoWithGuest(command);
  return run(process.execPath, [command, 'demo', ...args]);
}

process.exitCode = await main(process.argv.slice(2));
