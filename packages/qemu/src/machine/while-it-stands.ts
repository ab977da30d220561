import type { PauseTask } from '@fitdoc/interface';
import type { Disks } from '../disks/disks.js';
import type { InPause } from '../session/session.js';

/** What is done in the pause: what the caller wants, and beside it the disks. */
export function whileItStands(disks: Disks | undefined, task: PauseTask | undefined): InPause | undefined {
  if (disks === undefined && task === undefined) return undefined;
  return async () => {
    const doing = task?.run();
    await disks?.freeze();
    await doing;
  };
}
