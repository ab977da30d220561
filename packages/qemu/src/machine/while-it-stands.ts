import type { PauseTask } from '@fitdoc/interface';
import type { Disks } from '../disks/disks.js';
import type { InPause } from '../session/in-pause.js';

/** What is done about the pause: of the disks, and what the caller wants. */
export function whileItStands(disks: Disks | undefined, task: PauseTask | undefined): InPause | undefined {
  if (disks === undefined && task === undefined) return undefined;
  return {
    ...(disks && {
      before: async (signal) => disks.record(signal),
      // QEMU does it when it has written out what the guest wrote, and not sooner.
      standing: async (signal) => disks.freeze(signal),
    }),
    ...(task && { still: async () => task.run() }),
  };
}
