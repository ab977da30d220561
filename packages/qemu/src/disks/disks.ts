import { randomBytes } from 'node:crypto';
import { FitdocError, throwIfAborted, type HarvestDisk } from '@fitdoc/interface';
import type { QmpClient } from '../qmp/client.js';
import { findDisks } from './found.js';
import { DiskServer } from './server.js';
import { DiskSnapshot } from './snapshot.js';
import { sweepDisks } from './sweep.js';

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
}

/** How long QEMU may take for what is done within the pause, milliseconds: then the guest goes on without. */
const FREEZE_MS = 2000;

/** What is known of a disk since the last committed capture. */
interface Known {
  readonly node: string;
  readonly bitmap: string;
  readonly sizeBytes: number | undefined;
}

/**
 * The disks of an attached guest. A capture makes a snapshot of each inside the pause, by a filter that copies what
 * the guest is about to overwrite; bitmaps of QEMU's note what was written since the last committed one.
 */
export class Disks {
  private readonly attachment = randomBytes(3).toString('hex');
  private readonly known = new Map<string, Known>();
  private snapshots: readonly DiskSnapshot[] = [];
  private captures = 0;
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
  async prepare(full: boolean, signal: AbortSignal): Promise<void> {
    const found = await findDisks(this.qmp, this.settings.leftOut, signal);
    const path = await this.server.start();
    this.captures++;
    this.snapshots = found.map((disk, index) => {
      const before = this.known.get(disk.device);
      const known = before?.node === disk.node ? before : undefined;
      // What a disk that grew holds in its new part may be older than that, and is in no bitmap.
      const sameSize = known?.sizeBytes === disk.sizeBytes;
      return new DiskSnapshot(this.qmp, {
        ...{ disk, path, attachment: this.attachment, index, capture: this.captures },
        tears: this.settings.tears,
        timeoutMs: this.settings.timeoutMs,
        before: known?.bitmap,
        full: full || !sameSize,
      });
    });
    for (const snapshot of this.snapshots) {
      throwIfAborted(signal);
      await snapshot.prepare(this.settings.directory);
    }
  }

  /** The moment of the snapshots: called while the guest stands. All that has to be said is on its way at once. */
  async freeze(): Promise<void> {
    const options = { timeoutMs: FREEZE_MS };
    const actions = this.snapshots.flatMap((snapshot) => snapshot.bitmapActions());
    const calls = [
      ...(actions.length > 0 ? [this.qmp.execute('transaction', { actions }, options)] : []),
      ...this.snapshots.map((snapshot) => snapshot.insert(options)),
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
      if (bitmap === undefined) this.known.delete(device);
      else this.known.set(device, { node, bitmap, sizeBytes: this.sizeKept(snapshot, durable) });
    }
  }

  /** After a capture that did not come to its pause: takes away what was made ready. What is known stays known. */
  async forgo(): Promise<void> {
    const { snapshots } = this;
    this.snapshots = [];
    for (const snapshot of snapshots) await snapshot.remove();
  }

  /** After a capture that failed: nothing of it is known, so that all is removed, and the next one takes all. */
  async abandon(): Promise<void> {
    const { snapshots } = this;
    this.snapshots = [];
    this.known.clear();
    const behind = new Map(snapshots.map(({ filter, node }) => [filter, node]));
    if (await sweepDisks(this.qmp, behind)) this.server.swept();
  }

  /** Removes all that is ours from QEMU. */
  async end(): Promise<void> {
    if (!this.qmp.closed.aborted) await this.abandon();
    await this.server.close();
  }

  /** That of the newest stored state. None where another size was not stored: grown back, it is not what it was. */
  private sizeKept({ device, sizeBytes }: DiskSnapshot, durable: boolean): number | undefined {
    return durable || this.known.get(device)?.sizeBytes === sizeBytes ? sizeBytes : undefined;
  }
}
