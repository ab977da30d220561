import { diskLinks, storedDisks, type DiskLinks } from '../disks/disk-links.js';
import type { OpenLink, PageLink } from '../read/replay.js';

/** A disk of two checkpoints, or of one of them. */
export interface DiskPair {
  readonly name: string;
  readonly sizes: readonly [number | undefined, number | undefined];
  /** What shows it in each; undefined where one of them does not hold it. */
  readonly spans?: readonly {
    readonly pages: number;
    readonly left: readonly PageLink[];
    readonly right: readonly PageLink[];
  }[];
}

/** The disks that either of two chains shows, in the order of the first. Errors: those of `diskLinks`. */
export function diskPairs(left: readonly OpenLink[], right: readonly OpenLink[]): DiskPair[] {
  const names = new Set([...storedDisks(left), ...storedDisks(right)].map(({ name }) => name));
  return [...names].map((name) => {
    const [one, other] = [found(left, name), found(right, name)];
    const sizes = [one?.disk.sizeBytes, other?.disk.sizeBytes] as const;
    return one && other ? { name, sizes, spans: spansOf(one, other) } : { name, sizes };
  });
}

function found(links: readonly OpenLink[], name: string): DiskLinks | undefined {
  return storedDisks(links).some((disk) => disk.name === name) ? diskLinks(links, name) : undefined;
}

/** One that has grown has more of them: what is not there is zero. */
function spansOf(one: DiskLinks, other: DiskLinks): NonNullable<DiskPair['spans']> {
  const longer = one.spans.length > other.spans.length ? one : other;
  return longer.spans.map((_, index) => {
    const [left, right] = [one.spans[index], other.spans[index]];
    const pages = Math.max(left?.blocks ?? 0, right?.blocks ?? 0);
    return { pages, left: left?.links ?? [], right: right?.links ?? [] };
  });
}
