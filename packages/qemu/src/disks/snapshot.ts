import { type Json, type HarvestDisk, type DiskExtents } from '@fitdoc/interface';
import type { ExecuteOptions, QmpClient } from '../qmp/client.js';
import { bitmapName, granularityOf, newMoment, readBitmapName } from './bitmap.js';
import { addFleece } from './fleece.js';
import type { FoundDisk } from './found.js';
import { diskNames, type DiskNames } from './names.js';
import { readExport } from './read-export.js';
import { putBack, remove, removeExport, removeFilter } from './removal.js';
import { joinBack } from './takeover.js';

export interface SnapshotOf {
  readonly disk: FoundDisk;
  /** Of QEMU's NBD server. */
  readonly path: string;
  readonly attachment: string;
  readonly index: number;
  readonly capture: number;
  /** QEMU tears snapshots; see `tearsSnapshots`. */
  readonly tears: boolean;
  /** How long QEMU may send nothing of it, milliseconds. */
  readonly timeoutMs: number;
  /** For the name of its bitmap; see `proofOf`. */
  readonly proof: string;
  /** The bitmap of what was written since the last committed capture. */
  readonly before: string | undefined;
  /** That bitmap is of another size of the disk, and of use to nobody any more. */
  readonly outgrown: boolean;
  /** All of the disk is wanted, whatever the bitmap says. */
  readonly full: boolean;
}

/** Seconds after which QEMU gives a snapshot up rather than let the guest wait for the fleece. */
const FLEECE_SECONDS = 5;

/** One disk at the moment of one capture. */
export class DiskSnapshot {
  private readonly names: DiskNames;
  private readonly moment = newMoment();
  /** That begins at the pause. */
  private readonly bitmap: string;
  private recording = false;
  private opened = false;
  /** The node that somebody has put on the filter, which therefore stays. */
  held: string | undefined;

  constructor(
    private readonly qmp: QmpClient,
    private readonly of: SnapshotOf,
  ) {
    this.names = diskNames(of.attachment, of.index, of.capture);
    const { before, proof } = of;
    const name = { moment: this.moment, proof, before: before && readBitmapName(before)?.moment };
    this.bitmap = bitmapName(this.names.filter, name);
  }

  get device(): string {
    return this.of.disk.device;
  }

  get node(): string {
    return this.of.disk.node;
  }

  get filter(): string {
    return this.names.filter;
  }

  get sizeBytes(): number {
    return this.of.disk.sizeBytes;
  }

  /** Before the pause: the fleece, and the filter, which as yet sees nothing of what the guest writes. */
  async prepare(directory: string): Promise<void> {
    const { filter, fleece } = this.names;
    await addFleece(this.qmp, this.names, { directory, sizeBytes: this.sizeBytes });
    await this.qmp.execute('blockdev-add', {
      driver: 'copy-before-write',
      'node-name': filter,
      file: this.node,
      target: fleece,
      // The guest must neither fail nor wait because of us.
      'on-cbw-error': 'break-snapshot',
      'cbw-timeout': FLEECE_SECONDS,
    });
  }

  /**
   * For one transaction of all disks: from now on another bitmap notes what is written, too. The one before notes on
   * until it is read: both may have more than was written between two pauses, as the content read is the pause's.
   */
  record(): Json {
    const { node, bitmap: name } = this;
    this.recording = true;
    return { type: 'block-dirty-bitmap-add', data: { node, name, granularity: granularityOf(this.of.disk) } };
  }

  /** Puts the filter before the disk: the point in time, as the guest stands. */
  async insert(options: ExecuteOptions): Promise<void> {
    await this.qmp.execute(
      'qom-set',
      { path: this.device, property: 'drive', value: this.names.filter },
      options,
    );
  }

  harvest(): HarvestDisk {
    return {
      name: this.of.disk.name,
      sizeBytes: this.sizeBytes,
      kind: this.bitmapToRead === undefined ? 'full' : 'increment',
      moment: this.moment,
      read: ({ signal } = {}) => this.read(signal),
    };
  }

  /**
   * Takes the snapshot away. Gives the bitmap that holds what was written since the last committed capture, or
   * undefined where the next capture must take all.
   */
  async end(durable: boolean): Promise<string | undefined> {
    const { qmp, node, names } = this;
    for (const name of this.opened ? [names.export, names.copied] : []) await removeExport(qmp, name);
    if (this.opened) await remove(qmp, 'blockdev-del', { 'node-name': names.access });
    await putBack(qmp, [names.filter], new Map([[names.filter, node]]));
    await this.remove();
    return durable ? this.commit() : this.rollback();
  }

  /** Removes what was made ready for a pause that did not come. */
  async forgo(): Promise<void> {
    await this.remove();
    if (this.recording) await this.removeBitmap(this.bitmap);
  }

  /** Removes what `prepare` made; the filter must not stand before the disk. */
  private async remove(): Promise<void> {
    this.held = await removeFilter(this.qmp, this.names);
  }

  private get bitmapToRead(): string | undefined {
    return this.of.full ? undefined : this.of.before;
  }

  private async commit(): Promise<string> {
    await this.removeBitmap(this.of.before);
    return this.bitmap;
  }

  private async rollback(): Promise<string | undefined> {
    const { node, bitmap } = this;
    const { before, outgrown } = this.of;
    if (before !== undefined && !outgrown) {
      // It is the one that the last committed capture began, and keeps its name.
      await joinBack(this.qmp, node, before, bitmap);
      return before;
    }
    await this.removeBitmap(before);
    await this.removeBitmap(bitmap);
    return undefined;
  }

  private async removeBitmap(name: string | undefined): Promise<void> {
    if (name !== undefined) await remove(this.qmp, 'block-dirty-bitmap-remove', { node: this.node, name });
  }

  private async *read(signal: AbortSignal | undefined): DiskExtents {
    const { node, names } = this;
    const { path, timeoutMs, disk, tears } = this.of;
    const bitmap = this.bitmapToRead;
    this.opened = true;
    const access = { driver: 'snapshot-access', 'node-name': names.access, file: names.filter };
    await this.qmp.execute('blockdev-add', access);
    // QEMU serves no bitmap that changes.
    if (bitmap !== undefined) await this.qmp.execute('block-dirty-bitmap-disable', { node, name: bitmap });
    await this.serve(names.export, names.access, bitmap === undefined ? [] : [{ node, name: bitmap }]);
    if (tears && bitmap === undefined) await this.serve(names.copied, names.fleece, []);
    const torn = tears ? names.copied : undefined;
    yield* readExport({ path, name: names.export, bitmap, torn, timeoutMs, disk: disk.name }, signal);
  }

  private async serve(name: string, node: string, bitmaps: Json[]): Promise<void> {
    await this.qmp.execute('block-export-add', {
      ...{ type: 'nbd', id: name, name, 'node-name': node, writable: false },
      ...(bitmaps.length > 0 && { bitmaps }),
    });
  }
}
