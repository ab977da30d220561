import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, statfs } from 'node:fs/promises';
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

  /** Leaves about `slack` bytes free, and never makes the disk larger than it was mounted. */
  async fill(slack: number): Promise<void> {
    // A size below what is in use is refused, and who writes may write more than the slack before it is set.
    const whole = this.mebibytes * 1024;
    for (let more = 0; ; more = 2 * more || 64) {
      const size = Math.min(whole, Math.ceil(((await this.used()) + slack) / 1024) + more);
      try {
        return await this.#resize(`${size}k`);
      } catch (error) {
        if (size === whole) throw error;
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
    try {
      await execute('mount', ['-o', `remount,size=${size}`, this.path]);
    } catch (cause) {
      throw new Error(`${this.path} cannot be resized to ${size}: ${await this.#state()}`, { cause });
    }
  }

  /** For mount's words are the same for a disk that is gone and one that holds more than the new size. */
  async #state(): Promise<string> {
    const table = await readFile('/proc/self/mountinfo', 'utf8');
    const line = table.split('\n').find((each) => each.split(' ')[4] === this.path);
    return line === undefined ? 'it is not mounted' : `${await this.used()} bytes are in use of ${line}`;
  }
}
