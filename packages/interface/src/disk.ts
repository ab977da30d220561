import type { CallOptions } from './call.js';

/** Bytes of a disk's block: the unit in which its changes are stored. As large as a page, and kept as one. */
export const BLOCK_SIZE = 4096;
/** The largest disk that can be stored, bytes (16 TiB). */
export const MAX_DISK_BYTES = 2 ** 44;

/** A disk of a machine, recorded with a checkpoint and shown on restore. */
export interface DiskInfo {
  readonly name: string;
  readonly writable: boolean;
  /** Path or URI of what backs it, as the hypervisor told. */
  readonly source?: string;
  readonly format?: string;
  readonly sizeBytes?: number;
  /** True: checkpoints leave it out because somebody asked for that (scratch, swap). */
  readonly leftOut?: boolean;
}

/** A run of a disk's bytes, as they were at the moment of the capture. */
export type DiskExtent =
  /** Valid until the next extent is asked for. */
  | { readonly offset: number; readonly bytes: Uint8Array }
  /** So many zero bytes. */
  | { readonly offset: number; readonly zeroes: number };

/** Bytes of a disk, read in order: extents ascend, do not overlap, and begin at multiples of BLOCK_SIZE; only the last may end beside one. */
export type DiskExtents = AsyncIterable<DiskExtent>;

/** A disk of a harvest: its content at the moment of memory and device state. */
export interface HarvestDisk {
  /** As in `MachineInfo.disks`. */
  readonly name: string;
  /** Its size at that moment; it may be another than at the last capture. */
  readonly sizeBytes: number;
  /**
   * `full`: what `read` does not give is zero. `increment`: it is as the last committed harvest of this attachment had
   * it, or, where there is none, as at the moment that `CaptureOptions.diskMoments` names, and zero where that disk
   * ended before. A disk that became smaller is full.
   */
  readonly kind: 'full' | 'increment';
  /**
   * Names this moment of this disk, and no other of any disk: 1-64 of `A-Z a-z 0-9 . _ -`. A later attachment that is
   * told of it may bring the disk as an increment. Absent where none could.
   */
  readonly moment?: string;
  /** About how many bytes `read` will give, for progress. */
  readonly expectedBytes?: number;
  /**
   * Reads it, once, while the guest runs on, before the harvest is committed or rolled back. Rejects with a retryable
   * error where the content of that moment was lost; the guest does not notice, and the harvest must be rolled back.
   */
  read(options?: CallOptions): DiskExtents;
}

/** A disk of a checkpoint, for reading. */
export interface DiskSource {
  readonly name: string;
  readonly sizeBytes: number;
  /** What of it is not zero, in ascending order, verified. May be called more than once. */
  read(options?: CallOptions): AsyncIterable<Extract<DiskExtent, { bytes: Uint8Array }>>;
}
