const LONGEST = 64;

interface Known {
  /** The machine's own name, of which ours is made. */
  readonly own: string;
  readonly name: string;
}

/**
 * Names for machines that come and go: a machine's own as far as it can be one here, with a piece of its id behind it
 * where another has that. One that stays keeps its name, whoever comes or goes beside it, until it is renamed.
 */
export class MemberNames {
  #known = new Map<string, Known>();
  #next = new Map<string, Known>();
  #taken = new Set<string>();

  /** Begins a round, in which `others` are taken by machines of the configuration. */
  begin(others: readonly string[]): void {
    this.#next = new Map();
    this.#taken = new Set(others);
  }

  /** The name of a machine at a lasting location. */
  of(location: string, own: string, id: string | undefined): string {
    const known = this.#known.get(location);
    const stays = known?.own === own && !this.#taken.has(known.name);
    const name = stays ? known.name : this.#fresh(location, own, id);
    this.#next.set(location, { own, name });
    this.#taken.add(name);
    return name;
  }

  /** Ends a round: who had no part in it is forgotten. */
  end(): void {
    this.#known = this.#next;
  }

  #fresh(location: string, own: string, id: string | undefined): string {
    const kept = [...this.#known].filter(([other]) => other !== location).map(([, { name }]) => name);
    const taken = new Set([...this.#taken, ...kept]);
    const plain = own.replace(/[^A-Za-z0-9._-]/g, '_').replace(/^[^A-Za-z0-9]/, 'x');
    const marks = ['', ...(id === undefined ? [] : [`-${id.slice(0, 8)}`, `-${id}`])];
    for (let number = 2; ; number++) {
      for (const mark of marks.map((each) => each.replace(/[^A-Za-z0-9._-]/g, '_'))) {
        const name = plain.slice(0, LONGEST - mark.length) + mark;
        if (!taken.has(name)) return name;
      }
      marks.splice(0, marks.length, `-${number}`);
    }
  }
}
