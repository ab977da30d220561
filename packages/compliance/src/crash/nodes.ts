/** How much of what was not synced is there after a crash: nothing, all, or a choice made by this seed. */
export type Survival = 'nothing' | 'everything' | number;

/** Chooses what survives. */
export interface Fate {
  /** Whether a change that was not synced is there. */
  survives(): boolean;
  /** How many of the `length` bytes of a write that was not synced are there. */
  torn(length: number): number;
}

export function fateOf(survival: Survival): Fate {
  if (survival === 'nothing') return { survives: () => false, torn: () => 0 };
  if (survival === 'everything') return { survives: () => true, torn: (length) => length };
  let state = (survival * 2654435761 + 1) >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return {
    survives: () => random() < 0.5,
    torn: (length) => (random() < 0.5 ? Math.floor(random() * length) : length),
  };
}

/** A file: its bytes, and of them those that a crash cannot take. */
export class FileNode {
  readonly kind = 'file';
  bytes = new Uint8Array();
  #synced = new Uint8Array();
  #unsynced: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  constructor(public modifiedMs: number) {}

  append(bytes: Uint8Array): void {
    this.#unsynced.push({ offset: this.bytes.length, bytes: bytes.slice() });
    this.bytes = joined(this.bytes, this.bytes.length, bytes);
  }

  sync(): void {
    this.#synced = this.bytes;
    this.#unsynced = [];
  }

  /** The file after a crash: writes may be missing, out of order and torn; what lies between is zero. */
  afterCrash(fate: Fate): FileNode {
    const survivor = new FileNode(this.modifiedMs);
    let bytes = this.#synced;
    for (const write of this.#unsynced) {
      if (!fate.survives()) continue;
      bytes = joined(bytes, write.offset, write.bytes.subarray(0, fate.torn(write.bytes.length)));
    }
    survivor.bytes = bytes;
    survivor.sync();
    return survivor;
  }
}

function joined(before: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(Math.max(before.length, offset + bytes.length));
  result.set(before);
  result.set(bytes, offset);
  return result;
}

export type Node = FileNode | DirectoryNode;

/** A directory: its names, and of them those that a crash cannot take. */
export class DirectoryNode {
  readonly kind = 'directory';
  readonly names = new Map<string, Node>();
  #synced = new Map<string, Node>();
  #unsynced: { readonly name: string; readonly node: Node | undefined }[] = [];

  constructor(readonly modifiedMs: number) {}

  /** Gives the name to a node, or takes it away. */
  change(name: string, node: Node | undefined): void {
    apply(this.names, name, node);
    this.#unsynced.push({ name, node });
  }

  sync(): void {
    this.#synced = new Map(this.names);
    this.#unsynced = [];
  }

  /** The directory after a crash. A node with two names stays one: `seen` knows its survivor. */
  afterCrash(fate: Fate, seen = new Map<Node, Node>()): DirectoryNode {
    const survivor = new DirectoryNode(this.modifiedMs);
    seen.set(this, survivor);
    const names = new Map(this.#synced);
    for (const { name, node } of this.#unsynced) if (fate.survives()) apply(names, name, node);
    for (const [name, node] of names) {
      let kept = seen.get(node);
      if (!kept) {
        kept = node.kind === 'file' ? node.afterCrash(fate) : node.afterCrash(fate, seen);
        seen.set(node, kept);
      }
      survivor.names.set(name, kept);
    }
    survivor.sync();
    return survivor;
  }
}

function apply(names: Map<string, Node>, name: string, node: Node | undefined): void {
  if (node) names.set(name, node);
  else names.delete(name);
}
