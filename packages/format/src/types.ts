import type { DeviceState, Json, MachineInfo, PageBatch } from '@fitdoc/interface';
import type { RecordSeal } from './seal.js';

/** A checkpoint named by what it holds. */
export interface CheckpointReference {
  /** 32 lower-case hex digits: the first half of the content hash. */
  readonly id: string;
  /** 64 lower-case hex digits. */
  readonly contentHash: string;
}

/**
 * What a derived checkpoint was made for: `shortcut`, a way past finer ones that stay beside it; `merged`, the
 * one way to a state whose finer increments go; `base`, a state without a parent.
 */
export type DerivedRole = 'shortcut' | 'merged' | 'base';

/** A disk that a checkpoint holds. */
export interface StoredDisk {
  /** Unlike that of any other disk of the checkpoint. */
  readonly name: string;
  /** At most 16 TiB. What the last block holds beyond it is zero. */
  readonly sizeBytes: number;
  /**
   * `full`: a block that no batch holds is zero, whatever the parent says. `increment`: it is the parent's, and zero
   * where the parent's disk ended before it.
   */
  readonly kind: 'full' | 'increment';
  /** Whoever captured it knows this moment of the disk by that name: 1-64 of `A-Z a-z 0-9 . _ -`. */
  readonly moment?: string;
}

/** What a checkpoint is of, and where in its chain it stands. */
export interface CheckpointHeader {
  readonly formatVersion: number;
  readonly machine: MachineInfo;
  /** Always 4096. */
  readonly pageSize: number;
  /** Always 8. */
  readonly wordSize: number;
  /** Counts a machine's checkpoints; greater than the parent's. */
  readonly sequence: number;
  /** The checkpoint that this one is an increment to; none for a base. */
  readonly parent?: CheckpointReference;
  /** When the writer began, milliseconds since 1970, whole. */
  readonly createdAtMs: number;
  /** The moment that the checkpoint shows, milliseconds since 1970, whole. */
  readonly capturedAtMs: number;
  readonly kind: 'base' | 'increment';
  /**
   * Content hashes of checkpoints that show the same state as this one and whose place it takes (a merge of
   * several increments supersedes the last of them): a checkpoint that names one of them as its parent is a
   * child of this one. None where absent.
   */
  readonly supersedes?: readonly string[];
  /**
   * In a derived checkpoint (one made of others) only: the content hash of the captured checkpoint whose state
   * this one shows, which may be gone. Its `parent` then names a state likewise, and its device state stands
   * alone. Absent in captured ones; never together with `supersedes`.
   */
  readonly state?: string;
  /** What a derived checkpoint was made for; there exactly when `state` is. `base` exactly when it is a base. */
  readonly role?: DerivedRole;
  /** Content hashes of the checkpoints that a derived one was made of, for audit while those live. */
  readonly merges?: readonly string[];
  /** The disks whose content it holds, of the same instant as the memory. None where absent. */
  readonly disks?: readonly StoredDisk[];
  /** Name and version of the program that wrote it. */
  readonly tool: string;
}

/** A header for the writer, which knows version and sizes itself and drops fractions of a millisecond. */
export type NewCheckpointHeader = Omit<CheckpointHeader, 'formatVersion' | 'pageSize' | 'wordSize'> &
  Partial<Pick<CheckpointHeader, 'formatVersion' | 'pageSize' | 'wordSize'>>;

/** The part of a codec's encoded batch that the format records. */
export interface EncodedPages {
  readonly bytes: Uint8Array;
  readonly pages: number;
  readonly rawBytes: number;
  readonly changedWords: number;
  readonly wholePages: number;
  readonly zeroPages: number;
}

/** The part of a codec that the format uses: for the device state, and to decode batches. */
export interface BatchCodec {
  encode(batch: PageBatch): { readonly bytes: Uint8Array };
  decode(bytes: Uint8Array): PageBatch;
}

export type Metrics = Readonly<Record<string, Json>>;

/** What goes into a checkpoint. Batches come in ascending, disjoint gfn order; the rest at any place. */
export type ContentItem =
  | {
      readonly type: 'batch';
      readonly encoded: EncodedPages;
      /** The batch's page numbers, ascending. Only the first, the last and their count are looked at. */
      readonly gfns: Uint32Array;
      /** What `sealBatch(encoded.bytes)` gave, where a worker computed it already. */
      readonly seal?: RecordSeal;
    }
  | {
      /** Blocks of a disk, as a batch of pages. In the order of the header's disks, and ascending in each. */
      readonly type: 'blocks';
      /** The disk's place in the header's `disks`. */
      readonly disk: number;
      /** The span of the disk; see `DiskSpan`. */
      readonly span: number;
      readonly encoded: EncodedPages;
      /** Numbers of the blocks, counted from the first of the span. */
      readonly gfns: Uint32Array;
    }
  | {
      /** At most once. */
      readonly type: 'deviceState';
      readonly state: readonly DeviceState[];
      /** The parent's device state: the difference is stored where that is much smaller. */
      readonly previous?: readonly DeviceState[];
    }
  | {
      /** Figures of the capture, kept in the summary; several items merge. At most 16 KiB as JSON. */
      readonly type: 'metrics';
      readonly metrics: Metrics;
    }
  | ({ readonly type: 'extension' } & Extension);

/** Bytes of a part of the format that has its own owner (the disks of a machine, say). */
export interface Extension {
  /** Reverse-domain or package-like name: 1-64 of `a-z 0-9 . _ / @ -`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** A reader that does not know the name must refuse the checkpoint. Default false. */
  readonly mandatory?: boolean;
}

/** A checkpoint in short: what a list shows, read from the object's tail. */
export interface CheckpointSummary extends CheckpointReference {
  readonly formatVersion: number;
  readonly machineId: string;
  readonly machineName: string;
  readonly hypervisor: string;
  readonly scheme: string;
  /** Pages of all the machine's regions together. */
  readonly memoryPages: number;
  readonly sequence: number;
  readonly kind: 'base' | 'increment';
  readonly parentId?: string;
  readonly parentContentHash?: string;
  /** As in the header. */
  readonly supersedes?: readonly string[];
  /** As in the header. */
  readonly state?: string;
  /** As in the header. */
  readonly role?: DerivedRole;
  readonly createdAtMs: number;
  readonly capturedAtMs: number;
  /** Size of the whole object. */
  readonly bytes: number;
  /** Pages in all batches, and their bytes before encoding. */
  readonly pages: number;
  readonly rawBytes: number;
  readonly changedWords: number;
  readonly wordPages: number;
  readonly wholePages: number;
  readonly zeroPages: number;
  /** Bytes of the device state, unpacked. */
  readonly deviceStateBytes: number;
  /** Whether the device state needs the parent's to be rebuilt. */
  readonly deviceStateDelta: boolean;
  readonly batches: number;
  /** Disks whose content it holds; absent, as the next three, where there are none. */
  readonly disks?: number;
  readonly diskBatches?: number;
  /** Blocks in all batches of disks. */
  readonly diskBlocks?: number;
  /** Bytes of those batches as they are stored. */
  readonly diskBytes?: number;
  readonly metrics: Metrics;
}

/** Batches of pages that are numbered by themselves: the memory's, or those of a span of a disk. */
export interface PageSpace {
  /** In ascending order, disjoint. */
  readonly batches: readonly BatchEntry[];
  readEncodedBatch(number: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}

/** 2^30 blocks of a disk (4 TiB), or fewer at its end: as many as one numbering of pages can name. */
export interface DiskSpan extends PageSpace {
  readonly firstBlock: number;
  readonly blocks: number;
}

/** A disk of an open checkpoint. */
export interface DiskReader extends StoredDisk {
  readonly spans: readonly DiskSpan[];
}

/** Where a batch lies. */
export interface BatchEntry {
  readonly firstGfn: number;
  readonly lastGfn: number;
  readonly pages: number;
  /** Of the record, from the start of the object. */
  readonly offset: number;
  /** Bytes of the encoded batch. */
  readonly length: number;
}
