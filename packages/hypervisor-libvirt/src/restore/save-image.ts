import { endianness } from 'node:os';

/** libvirt's `QEMU_SAVE_MAGIC`, version and length of the header, from its src/qemu/qemu_saveimage.h. */
const MAGIC = 'LibvirtQemudSave';
const VERSION = 2;
const HEADER_BYTES = 92;
/** Room that libvirt leaves for a longer XML ("virsh save-image-edit"). */
const ROOM_BYTES = 64 * 1024;

export interface SaveImageHead {
  /** The domain to start. */
  readonly xml: string;
  /** The CPU that it ran with, as the cookie's `<cpu>`. */
  readonly cpu?: string | undefined;
  /** Whether it runs when it is restored, unless `virsh restore` is told otherwise. */
  readonly running: boolean;
}

/**
 * What stands before QEMU's migration stream in the file that `virsh save` writes and `virsh restore` reads: header,
 * XML, cookie, room. Numbers are in this host's order, which libvirt recognises by the version.
 */
export function saveImageHead({ xml, cpu, running }: SaveImageHead): Buffer {
  const domain = Buffer.from(`${xml}\0`);
  const cookie =
    cpu === undefined ? Buffer.alloc(0) : Buffer.from(`<cookie>\n${cpu}\n<slirpHelper/>\n</cookie>\n\0`);
  const data = Buffer.concat([domain, cookie, Buffer.alloc(ROOM_BYTES)]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 'latin1');
  const RAW = 0;
  const cookieOffset = cookie.length > 0 ? domain.length : 0;
  const numbers = [VERSION, data.length, Number(running), RAW, cookieOffset];
  numbers.forEach((value, index) => {
    const at = MAGIC.length + index * 4;
    if (endianness() === 'LE') header.writeUInt32LE(value, at);
    else header.writeUInt32BE(value, at);
  });
  return Buffer.concat([header, data]);
}
