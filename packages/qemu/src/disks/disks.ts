import { randomBytes } from 'node:crypto';
import { FitdocError, throwIfAborted, type HarvestDisk } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { proofOf } from './bitmap.js';
import { findDisks, type FoundDisk } from './found.js';
import { DiskServer } from './server.js';
import { DiskSnapshot } from './snapshot.js';
import { remove } from './removal.js';
import { sweepDisks } from './sweep.js';
import { takeOver } from './takeover.js';

export interface DiskSettings {
  /** Where what the guest overwrites waits to be read. */
  readonly directory: string;
  /** Where the socket is made that QEMU serves disks at. */
  readonly socketDirectory: string | undefined;
  /** How long QEMU may send nothing where it owes a disk's content, milliseconds. */
  readonly timeoutMs: number;
  /** QEMU tears snapshots; see `tearsSnapshots`. */
  readonly tears: boolean;
  /** Disks that are not captured, by name. */
  readonly leftOut: ReadonlySet<string>;
  /** Which life of which QEMU it is; see `lifeOf`. */
  readonly life: string;
  /** Leave bitmaps behind, by which a later attachment goes on from what is stored. */
  readonly keepBitmaps: boolean;
}

export interface PrepareOptions {
  /** All of every disk is wanted. */
  readonly full: boolean;
  /** What is held of disks that this attachment knows nothing of, by name; see `CaptureOptions`. */
  readonly moments?: ReadonlyMap<string, string> | undefined;
}

/** What is known of a disk since the last committed capture. */
interface Known {
  readonly node: string;
  readonly bitmap: string;
  readonly sizeBytes: number;
}

/**
 * The disks of an attached guest. A capture makes a snapshot of each inside the pause, by a filter that copies what
 * the guest is about to overwrite; bitmaps of QEMU's note what was written since the last committed one.
 */
export class Disks {
  private readonly attachment = randomBytes(3).toString('hex');
  private readonly known = new Map<string, Known>();
  private snapshots: readonly DiskSnapshot[] = [];
  /** Whether the bitmaps that begin with this capture note already. */
  private recording = false;
  private captures = 0;
  private tookOver = false;
  /** Of the captures before, to be told with the next. */
  private left: string[] = [];
  /** What people should know of the capture that was made ready last. */
  notes: readonly string[] = [];
  private readonly server: DiskServer;

  constructor(
    private readonly qmp: QmpClient,
    private readonly settings: DiskSettings,
  ) {
    this.server = new DiskServer(qmp, settings.socketDirectory, this.attachment);
  }

  /**
   * Makes ready for a snapshot of every disk that the guest has now. Nothing of the guest's is touched.
   * Errors: MACHINE_BUSY (someone else serves disks from this QEMU), STORE_DENIED, PROTOCOL_ERROR.
   */
  async prepare({ full, moments = new Map() }: PrepareOptions, signal: AbortSignal): Promise<void> {
    const found = await findDisks(this.qmp, this.settings.leftOut, signal);
    const path = await this.server.start();
    const moved = await this.forgetMoved(found);
    this.notes = [...this.left.splice(0), ...moved, ...(await this.takeOver(found, moments))];
    this.captures++;
    this.recording = false;
    this.snapshots = found.map((disk, index) => {
      const known = this.known.get(disk.device);
      // What a disk that grew holds in its new part may be older than that, and is in no bitmap.
      const outgrown = known !== undefined && known.sizeBytes !== disk.sizeBytes;
      if (outgrown && !full) this.notes = [...this.notes, wholly(disk, 'its size is another')];
      return new DiskSnapshot(this.qmp, {
        ...{ disk, path, attachment: this.attachment, index, capture: this.captures },
        tears: this.settings.tears,
        timeoutMs: this.settings.timeoutMs,
        proof: proofOf(this.settings.life, disk),
        before: known?.bitmap,
        ...{ outgrown, full: full || outgrown },
      });
    });
    for (const snapshot of this.snapshots) {
      throwIfAborted(signal);
      await snapshot.prepare(this.settings.directory);
    }
  }

  /**
   * Has QEMU note what is written from now on: called right before the pause, in which it need not be done then. What
   * is written in between comes with the next capture as well.
   */
  async record(signal?: AbortSignal): Promise<void> {
    const actions = this.snapshots.map((snapshot) => snapshot.record());
    this.recording = true;
    if (actions.length > 0) await this.qmp.execute('transaction', { actions }, { signal });
  }

  /**
   * The moment of the snapshots: called while the guest stands, as disk after disk is of one moment only then. All that
   * has to be said is on its way at once, and as little as can be: QEMU reads each command byte by byte. `signal`: the
   * guest goes on without.
   */
  async freeze(signal?: AbortSignal): Promise<void> {
    const calls = [
      ...(this.recording ? [] : [this.record(signal)]),
      ...this.snapshots.map((snapshot) => snapshot.insert({ signal })),
    ];
    const failed = (await Promise.allSettled(calls)).find(({ status }) => status === 'rejected');
    if (failed?.status !== 'rejected') return;
    throw new FitdocError('CAPTURE_FAILED', 'The disks could not be captured with the memory.', {
      cause: failed.reason,
      hint: 'The guest runs on; the next capture takes all of the disks.',
      retryable: true,
    });
  }

  /** The disks of the capture, to be read once the guest runs. */
  harvest(): HarvestDisk[] {
    return this.snapshots.map((snapshot) => snapshot.harvest());
  }

  /** Takes the snapshots away, and keeps in mind what was committed, or what is to come again. */
  async settle(durable: boolean): Promise<void> {
    const { snapshots } = this;
    this.snapshots = [];
    const gone = [...this.known.keys()].filter(
      (device) => !snapshots.some((snapshot) => snapshot.device === device),
    );
    for (const device of durable ? gone : []) this.known.delete(device);
    for (const snapshot of snapshots) {
      const { device, node } = snapshot;
      const bitmap = await snapshot.end(durable);
      if (snapshot.held !== undefined) this.left.push(`${snapshot.held} ${STANDS_ON}`);
      if (bitmap === undefined) this.known.delete(device);
      else this.known.set(device, { node, bitmap, sizeBytes: snapshot.sizeBytes });
    }
  }

  /** After a capture that did not come to its pause: takes away what was made ready. What is known stays known. */
  async forgo(): Promise<void> {
    const { snapshots } = this;
    this.snapshots = [];
    for (const snapshot of snapshots) await snapshot.forgo();
  }

  /** After a capture that failed: nothing of it is known, so that all is removed, and the next one takes all. */
  async abandon(): Promise<void> {
    this.known.clear();
    await this.sweep(false);
  }

  /** Removes all that is ours from QEMU, but bitmaps that may be gone on with. */
  async end(): Promise<void> {
    if (!this.qmp.closed.aborted) await this.sweep(this.settings.keepBitmaps);
    await this.server.close();
  }

  private async sweep(keepBitmaps: boolean): Promise<void> {
    const { snapshots } = this;
    this.snapshots = [];
    const behind = new Map(snapshots.map(({ filter, node }) => [filter, node]));
    if (await sweepDisks(this.qmp, { behind, keepBitmaps })) this.server.swept();
  }

  /** Disks that QEMU has on another node than it had: nothing is known of how that came to its content. */
  private async forgetMoved(found: readonly FoundDisk[]): Promise<string[]> {
    const notes: string[] = [];
    for (const disk of found) {
      const known = this.known.get(disk.device);
      if (known === undefined || known.node === disk.node) continue;
      this.known.delete(disk.device);
      await remove(this.qmp, 'block-dirty-bitmap-remove', { node: known.node, name: known.bitmap });
      notes.push(wholly(disk, MOVED));
    }
    return notes;
  }

  /** Once, as every later capture goes by what this attachment has committed. */
  private async takeOver(
    found: readonly FoundDisk[],
    moments: ReadonlyMap<string, string>,
  ): Promise<string[]> {
    if (this.tookOver) return [];
    const held = found.flatMap((disk) => {
      const moment = moments.get(disk.name);
      return moment === undefined ? [] : [{ disk, moment }];
    });
    const taken = await takeOver(this.qmp, this.settings.life, held);
    this.tookOver = true;
    return held.flatMap(({ disk }) => {
      const { device, node, sizeBytes, name } = disk;
      const found = taken.get(name);
      if (found !== undefined && 'why' in found) return [wholly(disk, found.why)];
      if (found !== undefined) this.known.set(device, { node, bitmap: found.bitmap, sizeBytes });
      return [];
    });
  }
}

const STANDS_ON =
  'stands on a filter of fitdoc, before which somebody put it while a capture was read: have QEMU stream it (block-stream), and the filter goes.';
const MOVED = 'QEMU has it on another node since the last checkpoint, as after a snapshot by others';

function wholly({ name }: FoundDisk, why: string): string {
  return `All of disk ${name} was read: ${why}.`;
}
