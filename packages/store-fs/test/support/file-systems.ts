import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRequired } from './host.js';

export interface Mounted {
  readonly path: string;
  unmount(): void;
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { stdio: 'pipe', encoding: 'utf8' }).trim();
}

/** A real exFAT, served by FUSE where the kernel has none; undefined, with the reason printed, without it. */
export function mountExfat(): Mounted | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'fitdoc-exfat-'));
  const [image, path] = [join(folder, 'image'), join(folder, 'mounted')];
  let device = '';
  try {
    writeFileSync(image, '');
    truncateSync(image, 32 << 20);
    run('mkfs.exfat', image);
    run('mkdir', path);
    device = run('losetup', '--find', '--show', image);
    run('mount.exfat-fuse', device, path);
  } catch (error) {
    if (device !== '') run('losetup', '-d', device);
    rmSync(folder, { recursive: true });
    const reason = String((error as Error).message).split('\n')[0];
    const how = 'apt install exfat-fuse exfatprogs';
    if (isRequired('exfat')) throw new Error(`exFAT is required (${how}): ${reason}`, { cause: error });
    process.stderr.write(`skipped: tests on exFAT (exfat; ${how}): ${reason}\n`);
    return undefined;
  }
  return {
    path,
    unmount() {
      run('umount', path);
      run('losetup', '-d', device);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Mounts and unmounts tmpfs at one path, as somebody with a disk would. Needs `mountSmall` to have worked. */
export class MountPoint {
  constructor(readonly path: string) {}

  mount(): void {
    run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', this.path);
  }

  /** Mounts here what is mounted there as well. */
  bind(other: string): void {
    run('mount', '--bind', other, this.path);
  }

  unmount(): void {
    run('umount', '-l', this.path);
  }
}
