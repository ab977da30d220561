import { DirectoryNode, fateOf, FileNode, type Node, type Survival } from './nodes.js';

/** What is thrown by the call at which the simulated host crashes, and by all after it. */
export class SimulatedCrash extends Error {
  constructor() {
    super('the simulated host has crashed');
    this.name = 'SimulatedCrash';
  }
}

export interface CrashPlan {
  /** The host crashes when so many changing calls are done; the last of them does not return. */
  readonly crashAfter?: number;
  /** The changing call of this number fails instead of doing anything. */
  readonly failAt?: number;
  /** The error code of that failure. Default EIO. */
  readonly failWith?: string;
}

interface SimulatedStat {
  readonly kind: 'file' | 'directory';
  readonly size: number;
  readonly modifiedMs: number;
}

/** A file that is open in a simulated file system. */
export interface SimulatedFile {
  write(bytes: Uint8Array): Promise<number>;
  read(target: Uint8Array, position: number): Promise<number>;
  stat(): Promise<SimulatedStat>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A file system in memory that keeps no promise it did not make: what was not synced may after a crash be
 * missing, out of order or torn, names and bytes apart from each other. Syncing a file saves its bytes and not
 * its name; syncing a directory saves its names and not the bytes behind them. Its methods are those that
 * `@fitdoc/store-fs` asks for.
 */
export class CrashFileSystem {
  /** Changing calls so far: those that write, sync, name and remove. */
  calls = 0;
  #plan: CrashPlan = {};
  #crashed = false;

  constructor(
    private readonly root = new DirectoryNode(0),
    private readonly now: () => number = Date.now,
  ) {}

  get crashed(): boolean {
    return this.#crashed;
  }

  /** Sets what is to go wrong, and counts from here. */
  arm(plan: CrashPlan): void {
    this.calls = 0;
    this.#plan = plan;
  }

  /** The file system that the host finds when it comes back. */
  afterCrash(survival: Survival): CrashFileSystem {
    return new CrashFileSystem(this.root.afterCrash(fateOf(survival)), this.now);
  }

  async create(path: string): Promise<SimulatedFile> {
    return this.#change(() => {
      const { directory, name } = this.#parent(path);
      if (directory.names.has(name)) throw errno('EEXIST', path);
      const node = new FileNode(this.now());
      directory.change(name, node);
      return this.#opened(node);
    });
  }

  async open(path: string): Promise<SimulatedFile> {
    return this.#look(() => {
      const node = this.#find(path);
      if (node.kind === 'directory') throw errno('EISDIR', path);
      return this.#opened(node);
    });
  }

  async link(from: string, to: string): Promise<void> {
    return this.#change(() => {
      const node = this.#find(from);
      const { directory, name } = this.#parent(to);
      if (directory.names.has(name)) throw errno('EEXIST', to);
      directory.change(name, node);
    });
  }

  async rename(from: string, to: string): Promise<void> {
    return this.#change(() => {
      const node = this.#find(from);
      const source = this.#parent(from);
      const target = this.#parent(to);
      if (target.directory.names.get(target.name)?.kind === 'directory') throw errno('EISDIR', to);
      // Two changes, either of which a crash may take: POSIX promises no more across directories.
      target.directory.change(target.name, node);
      source.directory.change(source.name, undefined);
    });
  }

  async unlink(path: string): Promise<void> {
    return this.#change(() => {
      if (this.#find(path).kind === 'directory') throw errno('EISDIR', path);
      const { directory, name } = this.#parent(path);
      directory.change(name, undefined);
    });
  }

  async makeDirectory(path: string): Promise<void> {
    return this.#change(() => {
      const { directory, name } = this.#parent(path);
      if (directory.names.has(name)) throw errno('EEXIST', path);
      directory.change(name, new DirectoryNode(this.now()));
    });
  }

  async list(path: string): Promise<{ name: string; kind: 'file' | 'directory' }[]> {
    return this.#look(() => {
      const node = this.#find(path);
      if (node.kind === 'file') throw errno('ENOTDIR', path);
      return [...node.names].map(([name, { kind }]) => ({ name, kind }));
    });
  }

  async stat(path: string): Promise<SimulatedStat> {
    return this.#look(() => statOf(this.#find(path)));
  }

  async syncDirectory(path: string): Promise<void> {
    return this.#change(() => {
      const node = this.#find(path);
      if (node.kind === 'file') throw errno('ENOTDIR', path);
      node.sync();
    });
  }

  #opened(node: FileNode): SimulatedFile {
    return {
      write: async (bytes) =>
        this.#change(() => {
          node.append(bytes);
          node.modifiedMs = this.now();
          return bytes.length;
        }),
      read: async (target, position) =>
        this.#look(() => {
          const part = node.bytes.subarray(position, position + target.length);
          target.set(part);
          return part.length;
        }),
      stat: async () => this.#look(() => statOf(node)),
      sync: async () => this.#change(() => node.sync()),
      close: async () => this.#look(() => undefined),
    };
  }

  #look<T>(body: () => T): T {
    if (this.#crashed) throw new SimulatedCrash();
    return body();
  }

  #change<T>(body: () => T): T {
    if (this.#crashed) throw new SimulatedCrash();
    this.calls++;
    if (this.calls === this.#plan.failAt) throw errno(this.#plan.failWith ?? 'EIO', 'simulated');
    if (this.calls !== this.#plan.crashAfter) return body();
    this.#crashed = true;
    try {
      body();
    } catch {
      // That it failed, the caller does not get to know.
    }
    throw new SimulatedCrash();
  }

  #find(path: string): Node {
    let node: Node = this.root;
    for (const name of namesOf(path)) {
      if (node.kind === 'file') throw errno('ENOTDIR', path);
      const next: Node | undefined = node.names.get(name);
      if (!next) throw errno('ENOENT', path);
      node = next;
    }
    return node;
  }

  #parent(path: string): { readonly directory: DirectoryNode; readonly name: string } {
    const names = namesOf(path);
    const name = names.pop();
    if (name === undefined) throw errno('EEXIST', path);
    const directory = this.#find(names.join('/'));
    if (directory.kind === 'file') throw errno('ENOTDIR', path);
    return { directory, name };
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

function statOf(node: Node): SimulatedStat {
  const size = node.kind === 'file' ? node.bytes.length : 0;
  return { kind: node.kind, size, modifiedMs: node.modifiedMs };
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, path, syscall: 'simulated' });
}
