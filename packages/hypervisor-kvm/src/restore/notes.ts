import type { MachineInfo } from '@fitdoc/interface';

/** What people must know of a restored machine's disks. */
export function diskNotes({ disks }: MachineInfo): string[] {
  return disks.map(
    ({ name, writable, source, format }) =>
      `Disk ${name}${source === undefined ? '' : ` (${source}${format === undefined ? '' : `, ${format}`})`} is not in the checkpoint: ` +
      (writable ? 'it must be as it was at that moment.' : 'the guest expects it unchanged.'),
  );
}
