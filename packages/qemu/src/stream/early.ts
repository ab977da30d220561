import { damaged, type ByteQueue, type Parse } from './byte-queue.js';
import {
  SECTION_COMMAND,
  SECTION_END,
  SECTION_FOOTER,
  SECTION_FULL,
  SECTION_PART,
  SECTION_START,
} from './layout.js';

/** A bitmap of all blocks of a very large device is a fraction of this. */
const MAX_BYTES = 64 << 20;
const FOOTER_BYTES = 5;
/** Section, length of a name that may be empty, instance and version. */
const HEAD_BYTES = 4 + 1 + 8;
const FOLLOWING = new Set([SECTION_COMMAND, SECTION_START, SECTION_PART, SECTION_END, SECTION_FULL]);

/**
 * Reads a device's section that QEMU sends ahead of memory, so that a target knows before the pages come which
 * of them there are (virtio-mem, from 8.0 machine types on); its type byte has been read. It does not say how
 * long it is: it ends with its footer where another section follows. Gives it whole, type byte and footer included.
 */
export function* readEarlySection(queue: ByteQueue): Parse<Uint8Array> {
  const start = queue.position - 1;
  const bytes: number[] = [SECTION_FULL];
  for (;;) {
    while (queue.available < 1) yield 1;
    bytes.push(queue.byte());
    if (!endsWithFooter(bytes)) {
      if (bytes.length > MAX_BYTES) throw damaged(start, 'a device section without end');
      continue;
    }
    // Whatever follows, there is a byte of it: the section that ends the memory is yet to come.
    while (queue.available < 1) yield 1;
    const next = queue.byte();
    queue.unread(Uint8Array.of(next));
    if (FOLLOWING.has(next)) return Uint8Array.from(bytes);
  }
}

function endsWithFooter(bytes: readonly number[]): boolean {
  const at = bytes.length - FOOTER_BYTES;
  if (at < 1 + HEAD_BYTES + bytes[5]! || bytes[at] !== SECTION_FOOTER) return false;
  return [1, 2, 3, 4].every((index) => bytes[at + index] === bytes[index]);
}
