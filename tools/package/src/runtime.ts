import { chmod, cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../lab/src/shell.js';
import type { Target } from './target.js';

/**
 * Puts the runtime into `into`: the release of Node.js that runs this, for it is the one that the suites ran on, built
 * by its makers for any glibc.
 */
export async function layRuntime(into: string, { cpu }: Target): Promise<void> {
  const { node } = process.versions;
  const work = await mkdtemp(path.join(tmpdir(), 'fitdoc-runtime-'));
  try {
    // One whole, known release, also for an architecture that is not this machine's. npm checks its digest.
    await run('npm', ['pack', '--loglevel=error', '--prefer-offline', `node-linux-${cpu}@${node}`], work);
    const [file] = await readdir(work);
    await run('tar', ['-xzf', file!, '--strip-components=1'], work);
    await mkdir(into, { recursive: true });
    await cp(path.join(work, 'bin', 'node'), path.join(into, 'node'));
    await chmod(path.join(into, 'node'), 0o755);
    await cp(path.join(work, 'LICENSE'), path.join(into, 'LICENSE'));
  } catch (error) {
    throw new Error(`Node.js ${node} for linux-${cpu} cannot be had: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
