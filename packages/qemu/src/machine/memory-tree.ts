/** A memory region of QEMU's, where it lies in the tree that it was printed in: `from` to `to`, `to` not in it. */
interface Region {
  readonly from: bigint;
  readonly to: bigint;
  readonly priority: number;
  /** `ram`, `rom`, `romd`, `i/o` and others. Older ones call a container `i/o`, too. */
  readonly kind: string;
  readonly name: string;
  /** It shows a part of another one, from `offset` on. */
  readonly alias?: { readonly of: string; readonly offset: bigint };
  readonly enabled: boolean;
  readonly parts: Region[];
}

/** What answers at the addresses from `from` to before `to`: the region of that name, from `offset` on. */
export interface Shown {
  readonly from: bigint;
  readonly to: bigint;
  readonly kind: string;
  readonly name: string;
  readonly offset: bigint;
}

/** Before the kind of what is not volatile. */
const LASTING = 'nv-';

/** Aliases of aliases; QEMU's machines have a few. */
const DEEPEST = 64;

/**
 * What the address space "memory" shows, in ascending order, by the output of the monitor's `info mtree`. Its option
 * `-f` prints just that, but never lets go of what it has printed (QEMU 7.2 to 11): devices that were there when it was
 * asked cannot be unplugged any more.
 */
export function memoryShown(text: string): Shown[] {
  const { spaces, regions } = treesIn(text);
  const root = spaces.get('memory');
  const shown: Shown[] = [];
  if (root !== undefined)
    show({ region: root, from: root.from, to: root.to, shift: 0n, lasting: false }, regions, shown, 0);
  return shown.sort((one, other) => (one.from < other.from ? -1 : 1));
}

interface Window {
  readonly region: Region;
  /** What may be seen of it. */
  readonly from: bigint;
  readonly to: bigint;
  /** From where it was printed to where it is seen. */
  readonly shift: bigint;
  /** What it is in is not volatile, and so neither is it. */
  readonly lasting: boolean;
}

/** Adds what is seen of a region where nothing above it is: as QEMU does, parts of a higher priority first. */
function show(
  { region, shift, lasting, ...seen }: Window,
  regions: ReadonlyMap<string, Region | undefined>,
  shown: Shown[],
  depth: number,
): void {
  const from = later(seen.from, region.from + shift);
  const to = earlier(seen.to, region.to + shift);
  if (!region.enabled || from >= to || depth > DEEPEST) return;
  const { alias, parts, name } = region;
  const kind = lasting && !region.kind.startsWith(LASTING) ? `${LASTING}${region.kind}` : region.kind;
  const below = { from, to, shift, lasting: kind.startsWith(LASTING) };
  const target = alias && regions.get(alias.of);
  if (alias && target) {
    const moved = region.from + shift - target.from - alias.offset;
    return show({ ...below, region: target, shift: moved }, regions, shown, depth + 1);
  }
  for (const part of [...parts].sort((one, other) => other.priority - one.priority))
    show({ ...below, region: part }, regions, shown, depth + 1);
  if (/container$/.test(kind) || (/i\/o$/.test(kind) && parts.length > 0)) return;
  // Of one whose target is not known nothing is told but that it is in the way.
  const what = alias ? { kind: 'unknown', name: alias.of } : { kind, name };
  for (const gap of gaps(from, to, shown))
    shown.push({ ...gap, ...what, offset: gap.from - region.from - shift });
}

/** What of a range is not shown yet. */
function gaps(from: bigint, to: bigint, shown: readonly Shown[]): { from: bigint; to: bigint }[] {
  let left = [{ from, to }];
  for (const taken of shown)
    left = left.flatMap((gap) =>
      [
        { from: gap.from, to: earlier(gap.to, taken.from) },
        { from: later(gap.from, taken.to), to: gap.to },
      ].filter((each) => each.from < each.to),
    );
  return left;
}

interface Trees {
  readonly spaces: ReadonlyMap<string, Region>;
  /** Those that aliases show; undefined: there are several of that name. */
  readonly regions: ReadonlyMap<string, Region | undefined>;
}

/** Reads trees: a head of one or more names, then a region a line, each part deeper than what it is in. */
function treesIn(text: string): Trees {
  const spaces = new Map<string, Region>();
  const regions = new Map<string, Region | undefined>();
  let heads: ((root: Region) => unknown)[] = [];
  let above: { readonly depth: number; readonly region: Region }[] = [];
  for (const line of text.split(/\r?\n/)) {
    const found = regionIn(line);
    if (found === undefined) {
      if (above.length > 0) [heads, above] = [[], []];
      // Newer ones name those that share a tree below "address-space shared 4 times:".
      const space = /^(?:address-space:| +-) (.*)$/.exec(line)?.[1];
      const region = /^memory-region: (.*)$/.exec(line)?.[1];
      if (space !== undefined) heads.push((root) => spaces.set(space, root));
      if (region !== undefined)
        heads.push((root) => regions.set(region, regions.has(region) ? undefined : root));
      continue;
    }
    above = above.filter(({ depth }) => depth < found.depth);
    above.at(-1)?.region.parts.push(found.region);
    if (above.length === 0) for (const head of heads) head(found.region);
    above.push(found);
  }
  return { spaces, regions };
}

const LINE =
  /^( +)([0-9a-f]{16})-([0-9a-f]{16}) \(prio (-?\d+), ([^)]+)\): (?:alias (.*?) @(.+) ([0-9a-f]{16})-[0-9a-f]{16}|(.+?))( \[disabled\])?$/;

function regionIn(line: string): { readonly depth: number; readonly region: Region } | undefined {
  const [, blanks, from, to, priority, kind, shownAs, of, offset, name, disabled] = LINE.exec(line) ?? [];
  if (blanks === undefined) return undefined;
  const region: Region = {
    ...{ from: address(from!), to: address(to!) + 1n, priority: Number(priority), kind: kind! },
    ...{ name: name ?? shownAs!, enabled: disabled === undefined, parts: [] },
    ...(of !== undefined && { alias: { of, offset: address(offset!) } }),
  };
  return { depth: blanks.length, region };
}

function address(hexadecimal: string): bigint {
  return BigInt(`0x${hexadecimal}`);
}

function later(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function earlier(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
