import type { DomainControl } from '../xen/control.js';
import { isBeingSaved } from './toolstack.js';

/**
 * Turns a domain's dirty log off, in Xen and in its device model, but not that of a domain which somebody saves or
 * migrates: it is the same log. Nothing keeps a save from beginning between the look for it and the end of the log, so
 * it is looked for once more: what began there finds its log on, with every page in it, and sends some pages twice
 * instead of missing some. `logWrites` tells the device model, and must not throw.
 */
export function endLog(
  control: DomainControl,
  logWrites: (enable: boolean) => void = () => {},
  isSaved: (domid: number) => boolean = isBeingSaved,
): void {
  if (isSaved(control.domid)) return;
  control.stopLog();
  logWrites(false);
  if (!isSaved(control.domid)) return;
  // One that has just turned it on itself refuses us, which is as well.
  control.enableLog();
  logWrites(true);
  control.markAllDirty();
}
