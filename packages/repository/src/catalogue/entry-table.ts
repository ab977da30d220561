import { providedHashes, type CheckpointEntry } from './entry.js';

/** The entries that are known, by key and by the states that they show, and the keys that are known to be gone. */
export class EntryTable {
  readonly #byKey = new Map<string, CheckpointEntry>();
  /** Made when it is asked for first: most who list never do. Mostly one, so that no list is made for it. */
  #byState: Map<string, CheckpointEntry | CheckpointEntry[]> | undefined;
  readonly #gone = new Set<string>();

  get size(): number {
    return this.#byKey.size;
  }

  get hasGone(): boolean {
    return this.#gone.size > 0;
  }

  get(key: string): CheckpointEntry | undefined {
    return this.#byKey.get(key);
  }

  all(): Iterable<CheckpointEntry> {
    return this.#byKey.values();
  }

  showing(contentHash: string): CheckpointEntry[] {
    if (!this.#byState) {
      this.#byState = new Map();
      for (const entry of this.#byKey.values()) this.#link(entry);
    }
    const found = this.#byState.get(contentHash);
    return found === undefined ? [] : Array.isArray(found) ? [...found] : [found];
  }

  /** Takes in what was read from the object, or put: it is there. */
  add(entry: CheckpointEntry): void {
    this.#gone.delete(entry.key);
    const before = this.#byKey.get(entry.key);
    if (before) this.#unlink(before);
    this.#byKey.set(entry.key, entry);
    this.#link(entry);
  }

  /** Takes in what a segment says, unless better is known. */
  learn(entry: CheckpointEntry): void {
    if (this.#byKey.has(entry.key) || this.#gone.has(entry.key)) return;
    this.#byKey.set(entry.key, entry);
    this.#link(entry);
  }

  remove(key: string): void {
    const before = this.#byKey.get(key);
    if (before) this.#unlink(before);
    this.#byKey.delete(key);
    this.#gone.add(key);
  }

  isGone(key: string): boolean {
    return this.#gone.has(key);
  }

  /** Drops the knowledge that keys are gone, but for those that somebody still speaks of. */
  keepGone(prefix: string, spokenOf: ReadonlySet<string>): void {
    for (const key of this.#gone) if (key.startsWith(prefix) && !spokenOf.has(key)) this.#gone.delete(key);
  }

  goneOf(prefix: string): Set<string> {
    return new Set([...this.#gone].filter((key) => key.startsWith(prefix)));
  }

  /** No segment speaks of them any more. */
  forgetGone(keys: Iterable<string>): void {
    for (const key of keys) this.#gone.delete(key);
  }

  #link(entry: CheckpointEntry): void {
    if (!this.#byState) return;
    for (const hash of providedHashes(entry)) {
      const others = this.#byState.get(hash);
      if (others === undefined) this.#byState.set(hash, entry);
      else if (Array.isArray(others)) others.push(entry);
      else this.#byState.set(hash, [others, entry]);
    }
  }

  #unlink(entry: CheckpointEntry): void {
    if (!this.#byState) return;
    for (const hash of providedHashes(entry)) {
      const left = this.showing(hash).filter((other) => other.key !== entry.key);
      if (left.length === 0) this.#byState.delete(hash);
      else this.#byState.set(hash, left.length === 1 ? left[0]! : left);
    }
  }
}
