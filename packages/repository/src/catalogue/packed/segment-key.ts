import { machineSegment, MACHINES_PREFIX } from '../../layout.js';

/** Where the catalogue's derived objects lie; late notes sort before segments, see `SegmentStore.find`. */
export const CATALOGUE_PREFIX = 'catalogue/';

/** A directory of a machine's objects, `machines/ID/checkpoints/` say, in which keys ascend with time. */
export interface Series {
  /** The machine's id as it is in keys. */
  readonly machine: string;
  /** The directory's own name. */
  readonly name: string;
}

/**
 * What a segment's key says. A *full* one claims that it holds all objects behind `after` (an empty one: from the
 * beginning) up to and with `last`, but for those with a late note; an *open* one claims nothing of the others
 * between its first and last.
 */
export interface SegmentName {
  readonly series: Series;
  readonly full: boolean;
  readonly after: string;
  readonly last: string;
  readonly digest: string;
}

export interface FoundSegment extends SegmentName {
  readonly key: string;
  readonly size: number;
}

/** A note that an object with this name may be there, whatever segments say. */
export interface LateNote {
  readonly series: Series;
  readonly name: string;
  readonly key: string;
  readonly modifiedMs: number;
}

const SEGMENT =
  /^catalogue\/([A-Za-z0-9._-]+)\/segments\/([a-z]+)\/(full|open)_([0-9a-f-]+)_([0-9a-f-]+)_([0-9a-f]{32})\.seg$/;
const LATE = /^catalogue\/([A-Za-z0-9._-]+)\/late\/([a-z]+)\/([0-9a-f-]+)\.json$/;
const OBJECT = /^machines\/([A-Za-z0-9._-]+)\/([a-z]+)\/([0-9a-f-]+)\.fitdoc$/;
const NOTHING = '0';

export function cataloguePrefix(machineId: string | undefined): string {
  return machineId === undefined ? CATALOGUE_PREFIX : `${CATALOGUE_PREFIX}${machineSegment(machineId)}/`;
}

export function directoryOf({ machine, name }: Series): string {
  return `${MACHINES_PREFIX}${machine}/${name}/`;
}

/** Splits an object's key, or gives undefined for that of anything else. */
export function splitKey(key: string): { readonly series: Series; readonly name: string } | undefined {
  const match = OBJECT.exec(key);
  if (!match) return undefined;
  return { series: { machine: match[1]!, name: match[2]! }, name: match[3]! };
}

export function segmentKey({ series, full, after, last, digest }: SegmentName): string {
  const stretch = `${full ? 'full' : 'open'}_${after || NOTHING}_${last}_${digest}`;
  return `${CATALOGUE_PREFIX}${series.machine}/segments/${series.name}/${stretch}.seg`;
}

export function parseSegmentKey(key: string): SegmentName | undefined {
  const match = SEGMENT.exec(key);
  if (!match) return undefined;
  const [, machine, name, kind, after, last, digest] = match as unknown as string[];
  return {
    series: { machine: machine!, name: name! },
    full: kind === 'full',
    after: after === NOTHING ? '' : after!,
    last: last!,
    digest: digest!,
  };
}

export function lateKey({ machine, name: series }: Series, name: string): string {
  return `${CATALOGUE_PREFIX}${machine}/late/${series}/${name}.json`;
}

export function parseLateKey(key: string): { readonly series: Series; readonly name: string } | undefined {
  const match = LATE.exec(key);
  if (!match) return undefined;
  return { series: { machine: match[1]!, name: match[2]! }, name: match[3]! };
}
