import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether a missing host feature must fail the suite instead of skipping it. */
export function isRequired(feature: string): boolean {
  const required = (process.env.REQUIRE_SUITES ?? '').split(',');
  return required.includes(feature) || required.includes('all');
}

/** Mounts a small file system of its own; undefined, with the reason printed, where that is not allowed. */
export function mountSmall(kibibytes: number): { readonly path: string; unmount(): void } | undefined {
  const path = mkdtempSync(join(tmpdir(), 'fitdoc-tmpfs-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    rmSync(path, { recursive: true });
    const reason = String((error as Error).message).split('\n')[0];
    if (isRequired('tmpfs'))
      throw new Error(`a tmpfs is required, and cannot be mounted: ${reason}`, { cause: error });
    process.stderr.write(`skipped: tests on a full disk, for a tmpfs cannot be mounted (${reason})\n`);
    return undefined;
  }
  return {
    path,
    unmount() {
      execFileSync('umount', [path]);
      rmSync(path, { recursive: true });
    },
  };
}
