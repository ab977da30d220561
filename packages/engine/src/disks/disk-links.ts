import { FitdocError } from '@fitdoc/interface';
import type { DiskReader, DiskSpan, PageSpace, StoredDisk } from '@fitdoc/format';
import type { OpenLink, PageLink } from '../read/replay.js';

/** What shows a disk as of the last checkpoint of a chain: for each of its spans the batches to lay on one another. */
export interface DiskLinks {
  readonly disk: StoredDisk;
  /** Whether it stands on zeros: the first of its checkpoints has it in full. */
  readonly full: boolean;
  readonly spans: readonly {
    readonly firstBlock: number;
    readonly blocks: number;
    readonly links: readonly PageLink[];
  }[];
}

const EMPTY: PageSpace = {
  batches: [],
  readEncodedBatch: () => Promise.reject(new FitdocError('ARGUMENT_INVALID', 'There is no batch.')),
};

/** The disks that the last of `links` shows. */
export function storedDisks(links: readonly OpenLink[]): readonly StoredDisk[] {
  return links.at(-1)?.reader.header.disks ?? [];
}

/**
 * From the last checkpoint that has the disk in full; where none of `links` has, from the first of them.
 * FORMAT_DAMAGED where one on the way does not have it, or it became smaller without being full.
 */
export function diskLinks(links: readonly OpenLink[], name: string): DiskLinks {
  const on: { readonly link: OpenLink; readonly disk: DiskReader }[] = [];
  let next: DiskReader | undefined;
  for (const link of links.toReversed()) {
    const disk = link.reader.disks.find((each) => each.name === name);
    if (!disk || (next && disk.sizeBytes > next.sizeBytes)) throw broken(name, link);
    on.unshift({ link, disk });
    next = disk;
    if (disk.kind === 'full') break;
  }
  const last = on.at(-1);
  if (!last || !next)
    throw new FitdocError('ARGUMENT_INVALID', `There is no checkpoint with a disk ${name}.`);
  const spans = last.disk.spans.map(({ firstBlock, blocks }: DiskSpan, index) => ({
    firstBlock,
    blocks,
    links: on.map(({ link, disk }) => ({ entry: link.entry, reader: disk.spans[index] ?? EMPTY })),
  }));
  const { sizeBytes, kind, moment } = last.disk;
  const disk = { name, sizeBytes, kind, ...(moment !== undefined && { moment }) };
  return { disk, full: next.kind === 'full', spans };
}

/** The same of a chain from its base, on which the disk must be full. */
export function wholeDisk(links: readonly OpenLink[], name: string): DiskLinks {
  const found = diskLinks(links, name);
  if (!found.full) throw broken(name, links[0]);
  return found;
}

function broken(name: string, link: OpenLink | undefined): FitdocError {
  return new FitdocError('FORMAT_DAMAGED', `Checkpoints on the way to it do not show the disk ${name}.`, {
    hint: 'Use an earlier checkpoint; `verify` lists what is damaged.',
    details: { disk: name, ...(link && { key: link.entry.key, id: link.entry.id }) },
  });
}
