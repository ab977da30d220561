import type { QmpClient } from '../qmp/client.js';
import { readBitmapName, readNodes, type FoundBitmap } from './bitmap.js';
import { bitmapPrefix, isOurs, namesBelow } from './names.js';
import { putBack, remove, removeExport, removeFilter } from './removal.js';
import { endServer } from './server.js';

export interface SweepOptions {
  /** Nodes by the filter before them, for whoever knows and a QEMU that does not tell; else a bitmap does. */
  readonly behind?: ReadonlyMap<string, string>;
  /** Leave the bitmaps, by which a later attachment can go on from what is stored. */
  readonly keepBitmaps?: boolean;
}

/**
 * Removes all that attachments left in QEMU's block layer, by its names, and puts the guest's disks back where a
 * filter of ours stands before one. Nothing but the connection is needed; a QEMU without any of it is only asked. Gives
 * whether QEMU's NBD server was ended, too.
 */
export async function sweepDisks(
  qmp: QmpClient,
  { behind = new Map(), keepBitmaps = false }: SweepOptions = {},
): Promise<boolean> {
  const { names, bitmaps } = await readNodes(qmp);
  const exports = await qmp.execute<readonly { id: string }[]>('query-block-exports');
  for (const { id } of exports.filter((each) => isOurs(each.id))) await removeExport(qmp, id);
  const ofKind = (kind: string): string[] => names.filter((name) => isOurs(name, kind));
  for (const name of ofKind('acc')) await remove(qmp, 'blockdev-del', { 'node-name': name });
  const filters = ofKind('cbw');
  await putBack(qmp, filters, new Map([...behindFilters(filters, bitmaps), ...behind]));
  const needed = new Set<string>();
  for (const filter of filters) {
    const below = namesBelow(filter);
    if ((await removeFilter(qmp, below)) !== undefined) needed.add(below.fleece).add(below.fleeceFile);
  }
  // Of those that were made ready, and never had a filter.
  for (const name of [...ofKind('tmp'), ...ofKind('tmpf')])
    if (!needed.has(name)) await remove(qmp, 'blockdev-del', { 'node-name': name });
  for (const { node, name } of bitmaps)
    if (!keepBitmaps || readBitmapName(name) === undefined)
      await remove(qmp, 'block-dirty-bitmap-remove', { node, name });
  return endServer(qmp, names);
}

/** The node that each filter stands before, by the bitmap that began with it. */
function behindFilters(filters: readonly string[], bitmaps: readonly FoundBitmap[]): [string, string][] {
  return filters.flatMap((filter): [string, string][] => {
    const found = bitmaps.find(({ name }) => name.startsWith(bitmapPrefix(filter)));
    return found ? [[filter, found.node]] : [];
  });
}
