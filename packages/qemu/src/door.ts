import type { DeviceState } from '@fitdoc/interface';
import type { Connected, ConnectOptions, QmpClient } from './qmp/client.js';

/** The way to the QEMUs of a scheme: what an adapter adds to what speaks QEMU's language. */
export interface Door {
  readonly scheme: string;
  /** Why disks cannot be captured through it, for people; undefined where they can. */
  readonly diskObstacle?: string;
  /** Somebody else is connected to the guests' agents. */
  readonly agentTaken?: true;
  /** File of a program that calls `runGuard` with the same `connect` and `life`: it outlives whoever attached. */
  readonly guard: string;
  /** Tells this start of the machine from every other, beside what QEMU tells of that itself. */
  life?(client: QmpClient): Promise<string>;
  /**
   * Opens a connection of its own to the QEMU at a location. Errors: MACHINE_NOT_FOUND, MACHINE_BUSY, PROTOCOL_ERROR,
   * and the door's own.
   */
  connect(location: string, options?: ConnectOptions): Promise<Connected>;
  /**
   * Whether the guest is known to run, by whoever follows it, where that is told sooner than QEMU can be asked. False:
   * QEMU is to be asked.
   */
  runs?(client: QmpClient, signal: AbortSignal): Promise<boolean>;
  /** What a checkpoint keeps beside QEMU's own state. It is asked while QEMU migrates, so that nothing can be plugged. */
  states?(client: QmpClient, signal: AbortSignal): Promise<readonly DeviceState[]>;
}
