import type { CallOptions } from './call.js';
import type { DiskInfo } from './disk.js';
import type { ErrorCode } from './errors.js';

/** A way in which a machine's checkpoints could be taken, the adapter's own word for it. */
export interface CaptureWay {
  readonly name: string;
  /** Whether a checkpoint costs what changed, or all of the memory each time. */
  readonly increments: boolean;
  /** Why it cannot be had, as a sentence; absent where it can. */
  readonly refused?: string;
}

/** Why nothing can be attached to, as `attach` would say it. */
export interface MachineRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}

/** A machine of this host, as far as it can be seen without disturbing it. */
export interface FoundMachine {
  /** Names its chain, where that is known: `MachineInfo.id`. */
  readonly id?: string;
  /** Name for people. */
  readonly name: string;
  /** For `attach`, without the scheme; absent where there is no way to it. */
  readonly location?: string;
  /** More locations of it; the first of them stays its own when it is renamed, and never becomes another's. */
  readonly locations?: readonly string[];
  /** What its operator has marked it with. */
  readonly tags?: readonly string[];
  /** Where it is another adapter's: a location for that, with its scheme. */
  readonly elsewhere?: string;
  /** The hypervisor's word for its state (`running`, `paused`); absent where nobody could be asked. */
  readonly state?: string;
  /** Bytes of its main memory. */
  readonly memoryBytes?: number;
  /** Absent where nobody could be asked. */
  readonly disks?: readonly DiskInfo[];
  /** Best first. Empty where nothing is known. */
  readonly ways: readonly CaptureWay[];
  /** Why it is refused as it is; absent where it would be taken. */
  readonly refused?: MachineRefusal;
  /** Its writable disks cannot be part of its checkpoints: it takes the option `disks` as `external`. */
  readonly externalDisks?: boolean;
  /** What else a checkpoint of it would need, or lack; one sentence a point. */
  readonly needs: readonly string[];
}

/** Options of a listing. */
export interface FindMachinesOptions extends CallOptions {
  /** Where to look, as before the `#` of the adapter's locations. Default: where a location without one is. */
  readonly place?: string;
  /** Which are wanted, by what is known before they are asked; the others are neither asked nor listed. Default: all. */
  readonly wanted?: (machine: Pick<FoundMachine, 'id' | 'name'>) => boolean;
}
