import type { DeviceState, Json, MachineInfo, PageBatch } from '@fitdoc/interface';
import type { RecordSeal } from './seal.js';

/** A checkpoint named by what it holds. */
export interface CheckpointReference {
  /** 32 lower-case hex digits: the first half of the content hash. */
  readonly id: string;
  /** 64 lower-case hex digits. */
  readonly contentHash: string;
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
  readonly metrics: Metrics;
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
