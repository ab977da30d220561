import type { DeviceState, ErrorCode, LentArea } from '@fitdoc/interface';
import type { StreamHeader } from '../stream/sections.js';
import type { CheckpointTimes } from '../stream/checkpoint.js';

/** What the reader thread is asked to do, one after the other. */
export type Job =
  | {
      readonly type: 'open';
      readonly socket: number;
      /** Bytes that QEMU can write while nobody reads. */
      readonly bufferBytes: number;
    }
  | { readonly type: 'header' }
  /** Reads all of a precopy. */
  | { readonly type: 'precopy' }
  /** Waits for QEMU's question whether a checkpoint may begin. */
  | { readonly type: 'request' }
  /** Reads a checkpoint that QEMU was allowed to take, of about so many bytes. */
  | { readonly type: 'checkpoint'; readonly expectedBytes: number };

/** `number` tells the jobs apart: a loan may come when the job that it was for has ended. */
export type Order =
  | { readonly type: 'job'; readonly number: number; readonly job: Job }
  | { readonly type: 'loan'; readonly number: number; readonly areas: readonly LentArea[] };

/** The pages that came into one loan. Zero pages come first, in the order given; then the areas' pages. */
export interface Batch {
  readonly type: 'batch';
  /** Pairs of a first gfn and a count. */
  readonly zeros: Uint32Array;
  /** For each area of the loan, in its order. */
  readonly gfns: readonly Uint32Array[];
}

export interface Result {
  readonly header?: StreamHeader;
  readonly devices?: DeviceState['bytes'];
  /** Bytes that the checkpoint took of the stream. */
  readonly bytes?: number;
  /** When its parts came, if they were read as they came. */
  readonly times?: CheckpointTimes;
}

export type Report =
  | Batch
  | { readonly type: 'done'; readonly result: Result }
  | { readonly type: 'failed'; readonly failure: Failure };

/** An error on its way between threads: cloning one keeps neither its class nor its code. */
export interface Failure {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Words that both threads see. */
export const CONTROL = {
  /** Counts up with everything that the reader may wait for. */
  signal: 0,
  /** Not 0: end what is under way. */
  stop: 1,
  /** Not 0: the guest runs again. */
  resumed: 2,
} as const;
