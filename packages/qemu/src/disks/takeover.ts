import type { QmpClient } from '../qmp/client.js';
import { granularityOf, proofOf, readBitmapName, readNodes, type FoundBitmap } from './bitmap.js';
import type { FoundDisk } from './found.js';
import { remove } from './removal.js';

/** A disk of which somebody holds a moment. */
export interface HeldDisk {
  readonly disk: FoundDisk;
  readonly moment: string;
}

/** The bitmap that is gone on with, or why there is none, for people. */
export type Taken = { readonly bitmap: string } | { readonly why: string };

/**
 * Takes over the bitmaps that earlier attachments left: of each disk that which notes, without a gap, what was written
 * since the moment that is held of it, by the disk's name. All others of ours are removed.
 */
export async function takeOver(
  qmp: QmpClient,
  life: string,
  held: readonly HeldDisk[],
): Promise<ReadonlyMap<string, Taken>> {
  const { bitmaps } = await readNodes(qmp);
  const taken = new Map<string, Taken>();
  for (const each of held) taken.set(each.disk.name, await goOnWith(qmp, life, bitmaps, each));
  const kept = new Set([...taken.values()].map((each) => ('bitmap' in each ? each.bitmap : undefined)));
  for (const { node, name } of bitmaps)
    if (!kept.has(name)) {
      // One that somebody uses is of no use to us, and no harm.
      await remove(qmp, 'block-dirty-bitmap-remove', { node, name }).catch((error: unknown) => {
        if (qmp.closed.aborted) throw error;
      });
    }
  return taken;
}

async function goOnWith(
  qmp: QmpClient,
  life: string,
  bitmaps: readonly FoundBitmap[],
  { disk, moment }: HeldDisk,
): Promise<Taken> {
  const proof = proofOf(life, disk);
  const began = bitmaps.filter((bitmap) => readBitmapName(bitmap.name)?.moment === moment);
  const found = began.find((bitmap) => isOf(bitmap, disk, proof));
  if (found === undefined) return { why: began.length === 0 ? NONE : OTHER };
  if (found.recording) return { bitmap: found.name };
  // A capture that was not ended: what was written from its pause on is in the bitmap that it began there.
  const next = bitmaps.find(
    (bitmap) =>
      readBitmapName(bitmap.name)?.before === moment && bitmap.recording && isOf(bitmap, disk, proof),
  );
  if (next === undefined) return { why: STOPPED };
  await joinBack(qmp, disk.node, found.name, next.name);
  return { bitmap: found.name };
}

const NONE =
  'QEMU has no notes of what was written since the last checkpoint (it was started anew, say, or captured for another repository)';
const OTHER = 'what QEMU has noted since the last checkpoint is of another disk, file or size';
const STOPPED = 'somebody kept QEMU from noting what was written since the last checkpoint';

function isOf(bitmap: FoundBitmap, disk: FoundDisk, proof: string): boolean {
  const { node, name, granularity, busy, persistent, inconsistent } = bitmap;
  const usable = !busy && !persistent && inconsistent !== true;
  return (
    usable &&
    node === disk.node &&
    granularity === granularityOf(disk) &&
    readBitmapName(name)?.proof === proof
  );
}

/**
 * Has a bitmap that ended note again, with what was noted since by the one that began then, which is removed. It notes
 * before it is joined: the other way round what is written in between would be lost.
 */
export async function joinBack(qmp: QmpClient, node: string, ended: string, next: string): Promise<void> {
  await qmp.execute('transaction', {
    actions: [
      { type: 'block-dirty-bitmap-enable', data: { node, name: ended } },
      { type: 'block-dirty-bitmap-merge', data: { node, target: ended, bitmaps: [next] } },
      { type: 'block-dirty-bitmap-remove', data: { node, name: next } },
    ],
  });
}
