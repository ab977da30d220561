import { type Json, type HarvestDisk, type DiskExtents } from '@fitdoc/interface';
import type { ExecuteOptions, QmpClient } from '../qmp/client.js';
import { addFleece } from './fleece.js';
import type { FoundDisk } from './found.js';
import { diskNames, type DiskNames } from './names.js';
import { readExport } from './read-export.js';
import { putBack, remove, removeExport } from './removal.js';

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
  /** The bitmap of what was written since the last committed capture. */
  readonly before: string | undefined;
  /** All of the disk is wanted, whatever the bitmap says. */
  readonly full: boolean;
}

/** Seconds after which QEMU gives a snapshot up rather than let the guest wait for the fleece. */
const FLEECE_SECONDS = 5;
/** Disks beyond this get a coarser bitmap: QEMU holds a bit for each 4 KiB in memory, up to twice. */
const FINE_BYTES = 2 ** 40;

/** One disk at the moment of one capture. */
export class DiskSnapshot {
  private readonly names: DiskNames;
  private opened = false;

  constructor(
    private readonly qmp: QmpClient,
    private readonly of: SnapshotOf,
  ) {
    this.names = diskNames(of.attachment, of.index, of.capture);
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

  /** For one transaction of all disks: from now on another bitmap notes what is written. */
  bitmapActions(): Json[] {
    const { node, sizeBytes } = this;
    const granularity = sizeBytes <= FINE_BYTES ? 4096 : 65_536;
    const add = { type: 'block-dirty-bitmap-add', data: { node, name: this.names.bitmap, granularity } };
    const { before } = this.of;
    if (before === undefined) return [add];
    return [add, { type: 'block-dirty-bitmap-disable', data: { node, name: before } }];
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
    await putBack(qmp, new Map([[names.filter, node]]));
    await this.remove();
    return durable ? this.commit() : this.rollback();
  }

  /** Removes what `prepare` made; the filter must not stand before the disk. */
  async remove(): Promise<void> {
    const { filter, fleece, fleeceFile } = this.names;
    for (const name of [filter, fleece, fleeceFile])
      await remove(this.qmp, 'blockdev-del', { 'node-name': name });
  }

  private get bitmapToRead(): string | undefined {
    return this.of.full ? undefined : this.of.before;
  }

  private async commit(): Promise<string> {
    const { before } = this.of;
    if (before !== undefined)
      await remove(this.qmp, 'block-dirty-bitmap-remove', { node: this.node, name: before });
    return this.names.bitmap;
  }

  private async rollback(): Promise<string | undefined> {
    const { node } = this;
    const { before } = this.of;
    const { bitmap } = this.names;
    if (before === undefined) {
      await remove(this.qmp, 'block-dirty-bitmap-remove', { node, name: bitmap });
      return undefined;
    }
    // The old one joins the new, which never stopped: the other way round writes in between are lost.
    await this.qmp.execute('transaction', {
      actions: [
        { type: 'block-dirty-bitmap-merge', data: { node, target: bitmap, bitmaps: [before] } },
        { type: 'block-dirty-bitmap-remove', data: { node, name: before } },
      ],
    });
    return bitmap;
  }

  private async *read(signal: AbortSignal | undefined): DiskExtents {
    const { node, names } = this;
    const { path, timeoutMs, disk, tears } = this.of;
    const bitmap = this.bitmapToRead;
    this.opened = true;
    const access = { driver: 'snapshot-access', 'node-name': names.access, file: names.filter };
    await this.qmp.execute('blockdev-add', access);
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
