import { createHash, randomBytes } from 'node:crypto';
import type { QmpClient } from '../qmp/client.js';
import type { FoundDisk } from './found.js';
import { bitmapPrefix, isOurs } from './names.js';

/** Disks beyond this get a coarser bitmap: QEMU holds a bit for each 4 KiB in memory, up to twice. */
const FINE_BYTES = 2 ** 40;

/** A bitmap of ours in QEMU: what was written to a node since a moment. */
export interface FoundBitmap {
  readonly node: string;
  readonly name: string;
  readonly granularity: number;
  /** Whether what is written now is noted. */
  readonly recording: boolean;
  readonly busy: boolean;
  /** Kept in the image, from which any QEMU may have it. */
  readonly persistent: boolean;
  readonly inconsistent?: boolean;
}

/** What a bitmap's name says. */
export interface BitmapName {
  /** The moment at which it began, as the harvest calls it. */
  readonly moment: string;
  /** Of what it is; see `proofOf`. */
  readonly proof: string;
  /** The moment of the bitmap that ended where it began. */
  readonly before: string | undefined;
}

/** Bytes that one bit of a disk's bitmap stands for. */
export function granularityOf({ sizeBytes }: Pick<FoundDisk, 'sizeBytes'>): number {
  return sizeBytes <= FINE_BYTES ? 4096 : 65_536;
}

export function newMoment(): string {
  return randomBytes(12).toString('hex');
}

/**
 * The same for the same disk for as long as what is written to it is certain to be noted: in one life of one QEMU, on
 * one node with one file behind it, at one size.
 */
export function proofOf(life: string, disk: FoundDisk): string {
  const { node, file, sizeBytes } = disk;
  const facts = JSON.stringify([life, node, file, sizeBytes, granularityOf(disk)]);
  return createHash('sha256').update(facts).digest('hex').slice(0, 16);
}

/** The name of the bitmap that begins with a filter: whose it is, and what a later attachment must know to trust it. */
export function bitmapName(filter: string, { moment, proof, before }: BitmapName): string {
  return `${bitmapPrefix(filter)}${moment}.${proof}${before === undefined ? '' : `.${before}`}`;
}

export function readBitmapName(name: string): BitmapName | undefined {
  if (!isOurs(name, 'bm')) return undefined;
  const [, moment, proof, before] = name.split('.');
  return moment === undefined || proof === undefined ? undefined : { moment, proof, before };
}

interface Node {
  readonly 'node-name'?: string;
  readonly 'dirty-bitmaps'?: readonly (Omit<FoundBitmap, 'node' | 'name'> & { readonly name?: string })[];
}

/** The names of all of QEMU's block nodes, and the bitmaps of ours among theirs. */
export async function readNodes(
  qmp: QmpClient,
): Promise<{ readonly names: readonly string[]; readonly bitmaps: readonly FoundBitmap[] }> {
  const nodes = await qmp.execute<readonly Node[]>('query-named-block-nodes', { flat: true });
  const bitmaps = nodes.flatMap(({ 'node-name': node = '', 'dirty-bitmaps': found = [] }) =>
    found.map((bitmap) => ({ ...bitmap, node, name: bitmap.name ?? '' })),
  );
  return {
    names: nodes.map((node) => node['node-name'] ?? ''),
    bitmaps: bitmaps.filter(({ name }) => isOurs(name)),
  };
}
