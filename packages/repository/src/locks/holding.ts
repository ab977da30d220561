/** What a lease keeps in place. */
export interface Holding {
  /** Names of objects, see `objectName`. */
  readonly objects: ReadonlySet<string>;
  /** Besides, every object that shows a state with this sequence or a later one: what a writer goes on from. */
  readonly from?: number | undefined;
}

export type Held = Holding | 'everything';

/** What a removal takes away: sequences by the objects' names. */
export type Going = ReadonlyMap<string, number> | 'everything';

/** An object that a removal takes or a lease keeps. */
export interface Nameable {
  readonly key: string;
  readonly sequence: number;
}

/** What tells an object from every other of its machine: the nonce in its key, or all of a key without one. */
export function objectName(key: string): string {
  return /-([0-9a-f]{12})\.fitdoc$/.exec(key)?.[1] ?? key;
}

export function holdingOf(entries: readonly Nameable[], from?: number): Holding {
  return { objects: new Set(entries.map(({ key }) => objectName(key))), from };
}

export function goingOf(entries: readonly Nameable[]): Going {
  return new Map(entries.map(({ key, sequence }) => [objectName(key), sequence]));
}

export function holds(held: Held, { key, sequence }: Nameable): boolean {
  return held === 'everything' || holdsNamed(held, objectName(key), sequence);
}

/** Whether a removal would take what a lease keeps. What takes nothing yet is in nobody's way. */
export function clashes(held: Held, going: Going): boolean {
  if (held === 'everything') return going === 'everything' || going.size > 0;
  if (going === 'everything') return true;
  return [...going].some(([name, sequence]) => holdsNamed(held, name, sequence));
}

/**
 * What of it who comes to hold it must wait for when it is about to go: the objects that it names. The others of
 * a writer are those yet to come, and no removal under way knows of them.
 */
export function atHand(held: Held): Held {
  return held === 'everything' ? held : { objects: held.objects };
}

function holdsNamed({ objects, from }: Holding, name: string, sequence: number): boolean {
  return objects.has(name) || (from !== undefined && sequence >= from);
}

/** Whether who has `held` has all of `wanted`. */
export function covers(held: Held, wanted: Held): boolean {
  if (held === 'everything') return true;
  if (wanted === 'everything') return false;
  const since = held.from ?? Number.POSITIVE_INFINITY;
  if ((wanted.from ?? Number.POSITIVE_INFINITY) < since) return false;
  return wanted.from !== undefined || [...wanted.objects].every((name) => held.objects.has(name));
}
