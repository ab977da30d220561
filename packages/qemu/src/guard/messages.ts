import type { Frozen } from '../agent/frozen.js';
import type { CpuThreads } from '../session/cpu-threads.js';
import type { KeptRecord } from './record.js';
import type { OpenStream } from './stalled.js';

/** What the guard is told, a line of JSON each. An empty line is a sign of life. */
export interface GuardMessage {
  /** `guard`: see to it when we die, and know of its stream; `end`: no more; `leave`: see to it from now on. */
  readonly type: 'guard' | 'end' | 'leave';
  /** Where the machine is, for the door's `connect`. */
  readonly location: string;
  readonly kept: KeptRecord;
  /** Which start of the machine it is: another one's QEMU, at the same location, is not touched. */
  readonly life: string;
  /** Bitmaps of disks stay, for a later attachment. */
  readonly keepBitmaps: boolean;
  /** Of QEMU's CPUs, where they are known: a main loop that waits for them can then be freed. */
  readonly cpus?: CpuThreads | undefined;
  /** What we read of it now. */
  readonly stream?: OpenStream | undefined;
  /** File systems of the guest that are frozen now. */
  readonly frozen?: Frozen | undefined;
}
