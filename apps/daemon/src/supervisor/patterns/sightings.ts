import type { FoundMachine } from '@fitdoc/interface';

/** Looks in which a machine may be missing: an adapter may miss one that is just being started or changed. */
const MISSES = 1;

interface Sighting {
  readonly machine: FoundMachine;
  readonly missed: number;
}

/** What was seen at each place, by the last look that told. */
export class Sightings {
  readonly #places = new Map<string, ReadonlyMap<string, Sighting>>();

  at(place: string): readonly FoundMachine[] {
    return [...(this.#places.get(place)?.values() ?? [])].map(({ machine }) => machine);
  }

  note(place: string, machines: readonly FoundMachine[]): void {
    const seen = new Map(machines.map((machine) => [keyOf(machine), { machine, missed: 0 }]));
    for (const [key, { machine, missed }] of this.#places.get(place) ?? [])
      if (!seen.has(key) && missed < MISSES) seen.set(key, { machine, missed: missed + 1 });
    this.#places.set(place, seen);
  }

  /** Forgets the other places. */
  keep(places: ReadonlySet<string>): void {
    for (const place of this.#places.keys()) if (!places.has(place)) this.#places.delete(place);
  }
}

function keyOf({ id, name, location, locations }: FoundMachine): string {
  return locations?.[0] ?? id ?? location ?? name;
}
