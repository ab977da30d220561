import { mkdir, link, lstat, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises';

export type FileKind = 'file' | 'directory' | 'other';

export interface FileStat {
  readonly kind: FileKind;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** A file that is open. */
export interface OpenFile {
  /** Appends; may take fewer bytes than given, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Reads into `target` from `position` on; 0 at the end. */
  read(target: Uint8Array, position: number): Promise<number>;
  stat(): Promise<FileStat>;
  /** Makes what was written survive a crash of the host. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The file-system calls that the store makes, and the least that it expects of them, which is what POSIX
 * promises. Errors carry the `code` of Node's (`ENOENT`, `EEXIST`, `ENOSPC`). `sync` makes a file's bytes
 * durable and not its name; `syncDirectory` makes the names in a directory durable and nothing of the files.
 */
export interface FileSystem {
  /** Makes a file for writing; EEXIST when there is one. */
  create(path: string): Promise<OpenFile>;
  /** Opens a file for reading. */
  open(path: string): Promise<OpenFile>;
  /** Gives a file a second name, atomically; EEXIST when the name is taken. */
  link(from: string, to: string): Promise<void>;
  /** Renames, atomically taking the place of a file that has the name. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes one directory; EEXIST when the name is taken. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, in any order. */
  list(path: string): Promise<{ readonly name: string; readonly kind: FileKind }[]>;
  /** What has the name, symbolic links not followed. */
  stat(path: string): Promise<FileStat>;
  syncDirectory(path: string): Promise<void>;
}

interface Kinds {
  isFile(): boolean;
  isDirectory(): boolean;
}

function kindOf(entry: Kinds): FileKind {
  if (entry.isFile()) return 'file';
  return entry.isDirectory() ? 'directory' : 'other';
}

class NodeFile implements OpenFile {
  constructor(private readonly handle: FileHandle) {}

  async write(bytes: Uint8Array): Promise<number> {
    return (await this.handle.write(bytes)).bytesWritten;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return (await this.handle.read(target, 0, target.length, position)).bytesRead;
  }

  async stat(): Promise<FileStat> {
    const stat = await this.handle.stat();
    return { kind: kindOf(stat), size: stat.size, modifiedMs: stat.mtimeMs };
  }

  sync(): Promise<void> {
    return this.handle.sync();
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** The host's file system. */
export const nodeFileSystem: FileSystem = {
  create: async (path) => new NodeFile(await open(path, 'wx', 0o666)),
  open: async (path) => new NodeFile(await open(path, 'r')),
  link,
  rename,
  unlink,
  makeDirectory: (path) => mkdir(path),
  list: async (path) =>
    (await readdir(path, { withFileTypes: true })).map((entry) => ({
      name: entry.name,
      kind: kindOf(entry),
    })),
  stat: async (path) => {
    const stat = await lstat(path);
    return { kind: kindOf(stat), size: stat.size, modifiedMs: stat.mtimeMs };
  },
  async syncDirectory(path) {
    // Windows has no way to do this, and keeps names in a journal of its own.
    if (process.platform === 'win32') return;
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};
