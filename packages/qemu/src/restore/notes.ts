import type { DiskSource, MachineInfo } from '@fitdoc/interface';
import type { Flash } from '../machine/disks.js';

/** What people must know of a restored machine's disks and of its flash memory. */
export function diskNotes({ disks, platform }: MachineInfo, held: readonly DiskSource[] = []): string[] {
  const flash = Array.isArray(platform['flash']) ? platform['flash'] : [];
  return [
    ...disks.map(
      ({ name, writable, source, format }) =>
        `Disk ${name}${source === undefined ? '' : ` (${source}${format === undefined ? '' : `, ${format}`})`} ` +
        (held.some((disk) => disk.name === name)
          ? 'is in the checkpoint: this QEMU must have been started on what was written of it.'
          : 'is not in the checkpoint: ' +
            (writable ? 'it must be as it was at that moment.' : 'the guest expects it unchanged.')),
    ),
    ...flash.flatMap((each) => {
      const { name, source, writable } = each as unknown as Flash;
      if (!writable) return [];
      return `UEFI variables (${name}, ${source}) are in the checkpoint and win: QEMU writes them over its own file once the guest runs.`;
    }),
  ];
}

/** What the guest itself does not know after a restore. `generationId`: whether it is told that it is a copy. */
export function guestNotes(
  { id, platform }: MachineInfo,
  target: { readonly uuid: string | undefined; readonly generationId: boolean },
): string[] {
  const macs = Array.isArray(platform['macs']) ? platform['macs'].map(String) : [];
  const identity = [
    ...(macs.length > 0 ? [`network addresses (${macs.join(', ')})`] : []),
    ...(target.uuid === undefined || isAnother(target.uuid, id) ? [] : [`the UUID ${target.uuid}`]),
    'host name, keys and identifiers in memory',
  ];
  return [
    "The guest's clock stands at the checkpoint's moment: set it, or let its time service do so.",
    `It is the original to everyone else: ${identity.join(', ')} are the same. Let only one of them into a network.`,
    target.generationId
      ? 'Its generation id tells it that it is a copy: a kernel that knows vmgenid draws new random numbers.'
      : 'It has no generation id (-device vmgenid,guid=auto) and cannot know that it is a copy: its random numbers go on from the same seeds in each restore.',
  ];
}

/** Whether a UUID is known not to be the original's: a machine goes by its own, unless it was given another name. */
function isAnother(uuid: string, id: string): boolean {
  return UUID.test(id) && id.toLowerCase() !== uuid.toLowerCase();
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
