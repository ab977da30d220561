import type { Frozen } from '../agent/frozen.js';
import type { QemuConfig } from '../config.js';
import type { Door } from '../door.js';
import type { QmpClient } from '../qmp/client.js';
import { kickWhenSilent, readCpuThreads } from '../session/cpu-threads.js';
import { readSettings, restoreSettings, type MigrationSettings } from '../session/settings.js';
import { guard } from './guard.js';
import { lifeOf } from './life.js';
import { held } from './stalled.js';
import { endRecord, keepRecord } from './record.js';

/** What an attachment owes the QEMU that it is made to. */
export interface Attached {
  /** QEMU's settings as they were found, which an attachment that nobody ended may have made. */
  readonly found: MigrationSettings;
  /** Which start of the machine it is; see `lifeOf`. */
  readonly life: string;
  /** Says of which socket QEMU's stream is read from now on (undefined: of none), and whether QEMU may await our word. */
  reads(socket: number | undefined, awaited: boolean): void;
  /** Says which file systems of the guest are frozen from now on. */
  freezes(frozen: Frozen | undefined): void;
  /** Puts the operator's settings back. */
  restore(): Promise<void>;
  /**
   * Call it at the end. `pending`: COLO could not be ended yet, which the guard then does, and puts the settings back.
   */
  end(pending?: string): void;
}

/**
 * Writes down how QEMU is set and has a guard watch over the attachment. Nothing was changed before it. `standing`: the
 * guest is one that nothing of ours is to run.
 */
export async function attached(
  qmp: QmpClient,
  door: Door,
  location: string,
  { guard: withGuard, keepBitmaps }: Pick<QemuConfig, 'guard' | 'keepBitmaps'>,
  standing: boolean,
): Promise<Attached> {
  const found = await readSettings(qmp);
  const kept = await keepRecord(qmp, found, { standing });
  const life = await lifeOf(qmp, door);
  const cpus = await readCpuThreads(qmp);
  kickWhenSilent(qmp, cpus);
  const guarded = withGuard ? guard(door.guard, { location, kept, cpus, life, keepBitmaps }) : undefined;
  return {
    found,
    life,
    reads: (socket, awaited) => {
      const [stream, monitor] = [held(socket), held(qmp.descriptor)];
      const open = stream && monitor && { process: process.pid, socket: stream, monitor, awaited };
      guarded?.reads(open);
    },
    freezes: (frozen) => guarded?.freezes(frozen),
    restore: async () => {
      await restoreSettings(qmp, kept.record.settings);
      await endRecord(kept);
    },
    end: (pending) => (pending === undefined ? guarded?.end() : guarded?.leave()),
  };
}
