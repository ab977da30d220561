import { stateOf, supersededHashes, type CheckpointEntry } from './entry.js';

/**
 * One name for each state. A captured checkpoint's state has one content hash as its name; a checkpoint that
 * supersedes others (as fitdoc 0.1 merged) shows the state of each of them under a hash of its own.
 */
export class StateNaming {
  readonly #aliases = new Map<string, string>();

  constructor(entries: Iterable<CheckpointEntry>) {
    for (const entry of entries) {
      for (const hash of supersededHashes(entry)) this.#join(stateOf(entry), hash);
    }
  }

  nameOf(hash: string): string {
    if (this.#aliases.size === 0) return hash;
    let at = hash;
    for (let next = this.#aliases.get(at); next !== undefined; next = this.#aliases.get(at)) at = next;
    return at;
  }

  #join(one: string, other: string): void {
    const [from, to] = [this.nameOf(one), this.nameOf(other)];
    if (from !== to) this.#aliases.set(from, to);
  }
}
