import { readdir, readFile, readlink } from 'node:fs/promises';

/** How a socket that a process listens on stands, as its kernel tells. */
export type SocketUse = 'free' | 'taken' | 'unknown';

interface UnixSocket {
  readonly inode: string;
  readonly listens: boolean;
  readonly connected: boolean;
  readonly path: string;
}

const LISTENS = 0x10000;
const CONNECTED = 3;

/** Sockets of a kernel's table `/proc/net/unix`; see proc(5). */
function parse(table: string): UnixSocket[] {
  return table.split('\n').flatMap((line) => {
    const parts = /^[0-9a-f]+: \S+ \S+ ([0-9A-F]{8}) \S+ ([0-9A-F]{2}) +(\d+) (.+)$/.exec(line);
    if (!parts) return [];
    const [, flags = '', state = '', inode = '', path = ''] = parts;
    return [
      {
        inode,
        path,
        listens: (Number.parseInt(flags, 16) & LISTENS) !== 0,
        connected: Number.parseInt(state, 16) === CONNECTED,
      },
    ];
  });
}

/**
 * Whether anybody is connected to a process's listening socket, without connecting: what it has accepted carries the
 * name that it listens by. Looked up where that process lives, which may be another network namespace.
 */
export async function useOfSocket(pid: number, path: string): Promise<SocketUse> {
  const sockets = await socketsOf(pid);
  if (sockets === undefined) return 'unknown';
  const named = sockets.filter((socket) => socket.path === path);
  if (!named.some(({ listens }) => listens)) return 'unknown';
  return named.some(({ connected, listens }) => connected && !listens) ? 'taken' : 'free';
}

/** Paths that a process listens on. */
export async function listeningPaths(pid: number): Promise<string[]> {
  return ((await socketsOf(pid)) ?? []).filter(({ listens }) => listens).map(({ path }) => path);
}

async function socketsOf(pid: number): Promise<UnixSocket[] | undefined> {
  try {
    const all = parse(await readFile(`/proc/${pid}/net/unix`, 'utf8'));
    const own = new Set(await inodesOf(pid));
    return all.filter(({ inode }) => own.has(inode));
  } catch {
    return undefined;
  }
}

async function inodesOf(pid: number): Promise<string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(
    descriptors.map((each) => readlink(`/proc/${pid}/fd/${each}`).catch(() => '')),
  );
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}
