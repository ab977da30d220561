import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

const mounted = new Set<string>();
process.once('exit', () => {
  for (const place of mounted) {
    try {
      execFileSync('umount', ['-l', place], { stdio: 'ignore' });
    } catch {
      // It went with whoever mounted it.
    }
  }
});

/** Why no file system can be mounted here, or undefined when it can: it is tried. */
export async function missingForSmallDisks(): Promise<string | undefined> {
  const place = await mkdtemp(path.join(tmpdir(), 'fitdoc-mount-'));
  try {
    await execute('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place]);
    await execute('umount', [place]);
    return undefined;
  } catch (error) {
    return `no tmpfs can be mounted: ${(error as Error).message.trim().split('\n').at(-1)}`;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** A file system in memory that can run full, without anybody having to write its bytes. */
export class SmallDisk {
  private constructor(
    readonly path: string,
    private readonly mebibytes: number,
  ) {}

  static async mount(place: string, mebibytes: number): Promise<SmallDisk> {
    await mkdir(place);
    await execute('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', place]);
    mounted.add(place);
    return new SmallDisk(place, mebibytes);
  }

  /** Leaves about `slack` bytes free. */
  async fill(slack: number): Promise<void> {
    // What is written while this looks may leave less room than asked for, and then the size is refused.
    for (let attempt = 0; ; attempt++) {
      const used = await this.used();
      try {
        return await this.#resize(`${Math.ceil((used + slack) / 1024) + attempt * 64}k`);
      } catch (error) {
        if (attempt === 20) throw error;
      }
    }
  }

  async free(): Promise<void> {
    await this.#resize(`${this.mebibytes}m`);
  }

  /** Bytes in use. */
  async used(): Promise<number> {
    const { blocks, bfree, bsize } = await statfs(this.path);
    return (blocks - bfree) * bsize;
  }

  async unmount(): Promise<void> {
    await execute('umount', ['-l', this.path]);
    mounted.delete(this.path);
  }

  async #resize(size: string): Promise<void> {
    await execute('mount', ['-o', `remount,size=${size}`, this.path]);
  }
}
