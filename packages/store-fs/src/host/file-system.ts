import type { BigIntStats } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rmdir,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import { renameIfAbsent, syncFileSystemOf } from './system-calls.js';

export type FileKind = 'file' | 'directory' | 'other';

export interface FileStat {
  readonly kind: FileKind;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Which file it is, among all that the host has; another file has another one. Absent: not known. */
  readonly identity?: string;
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
  /** Renames, atomically; EEXIST when the name is taken. Absent: there is no such call. */
  renameIfAbsent?(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Removes a directory; ENOTEMPTY. Absent: they stay. */
  removeDirectory?(path: string): Promise<void>;
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
    return statOf(await this.handle.stat({ bigint: true }));
  }

  sync(): Promise<void> {
    return this.handle.sync();
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

function statOf(stat: BigIntStats): FileStat {
  return {
    kind: kindOf(stat),
    size: Number(stat.size),
    modifiedMs: Number(stat.mtimeNs) / 1e6,
    identity: `${stat.dev}:${stat.ino}`,
  };
}

/** Who may read what the store makes: its owner, or a group as well. Whatever the umask says. */
export type Readers = 'owner' | 'group';

/** The host's file system. Groups themselves are inherited, from a directory with the set-group-id bit. */
export function hostFileSystem(readers: Readers): FileSystem {
  return {
    async create(path) {
      const handle = await open(path, 'wx', 0o600);
      if (readers === 'group') await handle.chmod(0o640).catch(() => undefined);
      return new NodeFile(handle);
    },
    open: async (path) => new NodeFile(await open(path, 'r')),
    link,
    rename,
    renameIfAbsent,
    unlink,
    async makeDirectory(path) {
      await mkdir(path, 0o700);
      // A file system without modes refuses, and has none to set.
      if (readers === 'group') await chmod(path, 0o2750).catch(() => undefined);
    },
    removeDirectory: (path) => rmdir(path),
    list: async (path) =>
      (await readdir(path, { withFileTypes: true })).map((entry) => ({
        name: entry.name,
        kind: kindOf(entry),
      })),
    stat: async (path) => statOf(await lstat(path, { bigint: true })),
    syncDirectory,
  };
}

/** What a file system says that cannot sync a directory. */
const CANNOT_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EBADF'];

async function syncDirectory(path: string): Promise<void> {
  // Windows has no way to do this, and keeps names in a journal of its own.
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync().catch(async (error: NodeJS.ErrnoException) => {
      if (!CANNOT_SYNC.includes(error.code ?? '') || !(await syncFileSystemOf(handle.fd))) throw error;
    });
  } finally {
    await handle.close();
  }
}

/** The host's file system, what is made in it being its owner's alone. */
export const nodeFileSystem: FileSystem = hostFileSystem('owner');
