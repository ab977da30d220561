import type { QmpClient } from '../qmp/client.js';
import { bitmapOfFilter, isOurs } from './names.js';
import { putBack, remove, removeExport } from './removal.js';
import { endServer } from './server.js';

interface Node {
  readonly 'node-name'?: string;
  readonly 'dirty-bitmaps'?: readonly { readonly name?: string }[];
}

/**
 * Removes all that attachments left in QEMU's block layer, by its names, and puts the guest's disks back where a
 * filter of ours stands before one. Nothing but the connection is needed; a QEMU without any of it is only asked. Gives
 * whether QEMU's NBD server was ended, too. `behind`: nodes by the filter before them, for whoever knows; else a bitmap
 * tells, unless it could not be made.
 */
export async function sweepDisks(
  qmp: QmpClient,
  behind: ReadonlyMap<string, string> = new Map(),
): Promise<boolean> {
  const nodes = await qmp.execute<readonly Node[]>('query-named-block-nodes', { flat: true });
  const names = nodes.map((node) => node['node-name'] ?? '');
  const bitmaps = nodes.flatMap((node) =>
    (node['dirty-bitmaps'] ?? []).map(({ name = '' }) => ({ node: node['node-name'] ?? '', name })),
  );
  const exports = await qmp.execute<readonly { id: string }[]>('query-block-exports');
  for (const { id } of exports.filter((each) => isOurs(each.id))) await removeExport(qmp, id);
  const ofKind = (kind: string): string[] => names.filter((name) => isOurs(name, kind));
  for (const name of ofKind('acc')) await remove(qmp, 'blockdev-del', { 'node-name': name });
  await putBack(qmp, new Map([...behindFilters(names, bitmaps), ...behind]));
  for (const kind of ['cbw', 'tmp', 'tmpf'])
    for (const name of ofKind(kind)) await remove(qmp, 'blockdev-del', { 'node-name': name });
  for (const { node, name } of bitmaps.filter((bitmap) => isOurs(bitmap.name)))
    await remove(qmp, 'block-dirty-bitmap-remove', { node, name });
  return endServer(qmp, names);
}

/** The node that each filter stands before, by the bitmap that began with it. */
function behindFilters(
  names: readonly string[],
  bitmaps: readonly { readonly node: string; readonly name: string }[],
): [string, string][] {
  return names.flatMap((filter): [string, string][] => {
    const found = bitmaps.find(({ name }) => name === bitmapOfFilter(filter));
    return found && isOurs(filter, 'cbw') ? [[filter, found.node]] : [];
  });
}
