/** What fitdoc puts into a QEMU, by the beginning of its name: nobody else's begins so. */
const PREFIX = 'fitdoc-';

/** The names of what one capture of one disk adds to QEMU, but its bitmap: see `bitmap.ts`. */
export interface DiskNames {
  readonly filter: string;
  readonly fleece: string;
  readonly fleeceFile: string;
  readonly access: string;
  readonly export: string;
  /** The export of the fleece. */
  readonly copied: string;
}

/** `attachment`: a few characters of its own, so that what an earlier one left is never met by name. */
export function diskNames(attachment: string, disk: number, capture: number): DiskNames {
  const name = (kind: string): string => `${PREFIX}${kind}-${attachment}-${disk}-${capture}`;
  return {
    filter: name('cbw'),
    fleece: name('tmp'),
    fleeceFile: name('tmpf'),
    access: name('acc'),
    export: name('exp'),
    copied: name('expf'),
  };
}

/** The same of what stands below a filter, by its name. */
export function namesBelow(filter: string): Pick<DiskNames, 'filter' | 'fleece' | 'fleeceFile'> {
  const name = (kind: string): string => filter.replace(`${PREFIX}cbw-`, `${PREFIX}${kind}-`);
  return { filter, fleece: name('tmp'), fleeceFile: name('tmpf') };
}

export function isOurs(name: string, kind = ''): boolean {
  return name.startsWith(kind === '' ? PREFIX : `${PREFIX}${kind}-`);
}

/** How the name begins of the bitmap that began with a filter. */
export function bitmapPrefix(filter: string): string {
  return `${filter.replace(`${PREFIX}cbw-`, `${PREFIX}bm-`)}.`;
}

/** A node that does nothing: while there is one, QEMU's NBD server is ours. */
export function serverSign(attachment: string): string {
  return `${PREFIX}srv-${attachment}`;
}
