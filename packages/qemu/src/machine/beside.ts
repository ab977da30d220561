import type { DeviceState, MachineInfo } from '@fitdoc/interface';
import type { Door } from '../door.js';
import type { QmpClient } from '../qmp/client.js';
import { assertNoNewDisks } from './new-disks.js';

interface Parts {
  readonly qmp: QmpClient;
  readonly door: Door;
  /** Where they are captured. */
  readonly disks: object | undefined;
  readonly disksAreOthers: boolean;
}

/**
 * What is asked of a machine beside a capture of it. While it migrates QEMU plugs nothing: what is told then is of the
 * machine that the capture brings.
 */
export class Beside {
  private known: readonly DeviceState[] = [];

  constructor(
    private readonly parts: Parts,
    private readonly info: MachineInfo,
    private readonly gone: AbortSignal,
  ) {}

  /**
   * What its door tells. MACHINE_HAS_DISKS when disks came since the attach that neither we nor others are known to
   * keep; an increment (`full` false) has none, as QEMU has migrated since the capture before.
   */
  async ask(full: boolean, signal: AbortSignal): Promise<readonly DeviceState[]> {
    const { qmp, disks, disksAreOthers } = this.parts;
    const strange = full && disks === undefined && !disksAreOthers;
    const checked = strange ? assertNoNewDisks(qmp, this.info, signal) : undefined;
    const [states] = await Promise.all([this.states(), checked]);
    return states;
  }

  /** Whether the guest is known to run without that QEMU is asked. */
  async runs(signal: AbortSignal): Promise<boolean> {
    const { door, qmp } = this.parts;
    return (await door.runs?.(qmp, signal).catch(() => false)) ?? false;
  }

  /** A capture is not lost for what only its door knows: what was known last goes with it then. */
  private async states(): Promise<readonly DeviceState[]> {
    const { door, qmp } = this.parts;
    if (door.states !== undefined && !this.gone.aborted)
      this.known = await door.states(qmp, this.gone).catch(() => this.known);
    return this.known;
  }
}
