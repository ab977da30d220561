import type { ContentItem, StoredDisk } from '@fitdoc/format';
import { mergedBatches, type MergeOptions } from '../history/merge.js';
import type { OpenLink } from '../read/replay.js';
import { diskLinks, storedDisks, type DiskLinks } from './disk-links.js';

/** The disks of one checkpoint that does what all of `links` do one after the other, for its header. */
export function mergedDisks(links: readonly OpenLink[]): readonly StoredDisk[] | undefined {
  const disks = linksOfAll(links).map(({ disk, full }): StoredDisk => ({
    ...disk,
    kind: full ? 'full' : 'increment',
  }));
  return disks.length > 0 ? disks : undefined;
}

/** The batches of those disks. */
export async function* mergedBlocks(
  links: readonly OpenLink[],
  options: Omit<MergeOptions, 'pages' | 'overZeros'>,
): AsyncGenerator<Extract<ContentItem, { type: 'blocks' }>> {
  for (const [disk, { full, spans }] of linksOfAll(links).entries()) {
    for (const [span, part] of spans.entries()) {
      const batches = mergedBatches(part.links, { ...options, pages: part.blocks, overZeros: full });
      for await (const { encoded, gfns } of batches) yield { type: 'blocks', disk, span, encoded, gfns };
    }
  }
}

function linksOfAll(links: readonly OpenLink[]): DiskLinks[] {
  return storedDisks(links).map(({ name }) => diskLinks(links, name));
}
